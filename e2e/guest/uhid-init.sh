#!/bin/busybox sh
# The guest's only program: see uhid.sh.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

check() {
    what=$1
    shift
    if "$@" >/tmp/out 2>&1; then echo "passed: $what"; else echo "FAILED: $what"; cat /tmp/out; fi
}
says() { "$@" 2>&1 | grep -q "$pattern"; }

pattern='modprobe uhid'
check "without the module the key says what to do" says pinward key run --uhid --ephemeral --auto-touch
for module in hid uhid hid-generic; do
    insmod /modules/$module.ko
done

pinward key run --uhid --ephemeral --auto-touch --control /tmp/key.control >/tmp/key.log 2>&1 </dev/null &
key=$!
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    [ -e /dev/hidraw0 ] && break
    sleep 1
done

pattern='HID_ID=0003:00001209:00000001'
check "the kernel has a USB HID device" says cat /sys/class/hidraw/hidraw0/device/uevent
pattern='^/dev/hidraw0: vendor=0x1209'
check "libfido2 finds it by its report descriptor" says fido2-token -L
pattern='FIDO_2_1'
check "getInfo" says fido2-token -I /dev/hidraw0

hash=$(head -c 32 /dev/zero | base64)
printf '%s\n%s\n%s\n%s\n' "$hash" example.org anna "$(printf anna | base64)" >/tmp/make
check "makeCredential" fido2-cred -M -i /tmp/make -o /tmp/made /dev/hidraw0
fido2-cred -V -i /tmp/made -o /tmp/credential
printf '%s\n%s\n%s\n' "$hash" example.org "$(head -n 1 /tmp/credential)" >/tmp/get
check "getAssertion" fido2-assert -G -i /tmp/get -o /tmp/got /dev/hidraw0
tail -n +2 /tmp/credential >/tmp/public
check "the signature verifies" fido2-assert -V -i /tmp/got /tmp/public es256

# OpenSSH's own middleware and libfido2, through the kernel.
check "ssh-keygen makes an ed25519-sk key" ssh-keygen -q -t ed25519-sk -N '' -C guest -f /tmp/id
echo hello >/tmp/message
check "ssh-keygen signs with it" ssh-keygen -q -Y sign -n test -f /tmp/id /tmp/message
signed() { ssh-keygen -Y check-novalidate -n test -s /tmp/message.sig </tmp/message; }
check "the signature of OpenSSH verifies" signed

# Our own manager sets, libfido2 reads, and the other way round.
export PIN=24680
check "pinward sets a PIN" pinward pin set --device /dev/hidraw0 --new-pin env:PIN
pattern='options:.* clientPin'
check "libfido2 sees the PIN" says fido2-token -I /dev/hidraw0
check "pinward makes the key insist on verification" pinward always-uv on --device /dev/hidraw0 --pin env:PIN
pattern='options:.* alwaysUv'
check "libfido2 sees it" says fido2-token -I /dev/hidraw0

# The suite erases the key before each check.
pattern='^[1-9][0-9]* pass'
conforms() {
    pinward conformance --subject hidraw:/dev/hidraw0 --filter "$1" --yes \
        --replug 'pinward key power-cycle --control /tmp/key.control'
}
check "the conformance suite passes: getInfo" conforms getinfo.
# Not the longest message: the kernel keeps 32 reports for a UHID device and drops the rest of a burst.
check "the conformance suite passes: LOCK of CTAPHID" conforms hid.lock

kill $key
wait $key
check "the device goes with the key" test ! -e /dev/hidraw0
poweroff -f
