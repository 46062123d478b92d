#!/bin/sh
# The key as a USB device of a real kernel: `pinward key run --uhid` in a guest with Debian's stock
# kernel, used through hidraw by libfido2's tools, by OpenSSH, and by Pinward's own manager and conformance
# suite. By hand: sh e2e/guest/uhid.sh target/debug/pinward
#
# Needs (Debian 12): qemu-system-x86 busybox-static cpio fido2-tools openssh-client, and apt-get to download a
# kernel.
# The guest has no disk and no network; nothing is installed on the host.
set -eu

pinward=$(realpath "${1:?usage: uhid.sh PINWARD}")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

image=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
apt-get download -q "$image" >/dev/null 2>&1
dpkg-deb -x "$image"_*.deb kernel

mkdir -p root/bin root/dev root/etc root/proc root/sys root/tmp root/modules root/usr/lib/openssh
cp "$here/uhid-init.sh" root/init
cp "$(command -v busybox)" root/bin/busybox
strip -o root/bin/pinward "$pinward"
for program in fido2-token fido2-cred fido2-assert ssh-keygen; do
    cp "$(command -v $program)" root/bin/
done
cp /usr/lib/openssh/ssh-sk-helper root/usr/lib/openssh/
echo 'root:x:0:0:root:/tmp:/bin/sh' >root/etc/passwd
for module in hid uhid hid-generic; do
    find kernel/lib/modules -name "$module.ko*" -exec cp {} root/modules/ \;
done
for program in root/bin/* root/usr/lib/openssh/*; do
    ldd "$program" 2>/dev/null | grep -o '/[^ ]*' || true
done | sort -u | while read -r library; do
    mkdir -p "root$(dirname "$library")"
    cp -L "$library" "root$library"
done
(cd root && find . | cpio -o -H newc 2>/dev/null | gzip -1) >initrd

timeout 900 qemu-system-x86_64 -accel tcg,thread=multi -cpu Westmere -machine q35 -m 1024 \
    -nodefaults -nographic -serial stdio -no-reboot -kernel kernel/boot/vmlinuz-* -initrd initrd \
    -append "console=ttyS0 quiet panic=1 rdinit=/init" </dev/null | tee log

# The guest says what it saw; anything else is a failure, a guest that did not get so far too.
passed=$(grep -c 'passed: ' log || true)
expected=$(grep -c '^check "' "$here/uhid-init.sh")
if grep -q 'FAILED: ' log || [ "$passed" -ne "$expected" ]; then
    echo "uhid: $passed of $expected passed" >&2
    exit 1
fi
echo "uhid: $passed of $expected passed"
