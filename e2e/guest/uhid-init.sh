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

pinward key run --uhid --ephemeral --auto-touch >/tmp/key.log 2>&1 </dev/null &
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

kill $key
wait $key
check "the device goes with the key" test ! -e /dev/hidraw0
poweroff -f
