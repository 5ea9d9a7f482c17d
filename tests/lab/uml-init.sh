#!/bin/sh
# The first process of the User Mode Linux machine that tests.lab.uml boots.
# Its root is the machine's own file system, read-only, under an overlay in
# memory: every path is where it is outside and nothing written here gets out,
# but for the job's folder, which is how the result does.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
uml=/usr/lib/uml/modules/$(uname -r)

mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/upper /run/work /run/root
insmod "$uml/kernel/fs/overlayfs/overlay.ko"
mount -t overlay overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work /run/root || poweroff -f
cd /run/root || poweroff -f
mkdir -p .uml-old lib/modules
pivot_root . .uml-old
umount /.uml-old/proc

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /dev
mount -t devtmpfs devtmpfs /dev 2>/dev/null
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "ptmx 5 2"; do
    # shellcheck disable=SC2086
    set -- $node
    [ -e "/dev/$1" ] || mknod -m 666 "/dev/$1" c "$2" "$3"
done
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
mkdir -p /dev/pts /dev/shm /run/job /lib/modules
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mount --bind /usr/lib/uml/modules /lib/modules
mount -t hostfs none /run/job -o "$macvnet_job"
if [ -n "$macvnet_disk" ]; then
    [ -e "$macvnet_disk" ] || mknod "$macvnet_disk" b 98 0
    mkdir /run/disk
    mount -t ext4 "$macvnet_disk" /run/disk || poweroff -f
fi

# IPv6 first: it is a module here, and the others look for it when they start.
modprobe -a ipv6 dummy macvlan ipvlan 8021q veth bridge bonding vrf
ip link set lo up

cat >/run/work.sh <<'END'
echo "=== User Mode Linux begins"
# Through a pipe: the console is a terminal, and programs would draw on it.
{ sh /run/job/work.sh; echo $? >/run/job/status; } 2>&1 | cat
echo "=== User Mode Linux ends"
sync
poweroff -ff
END
[ -n "$macvnet_systemd" ] || exec sh /run/work.sh

# systemd is the first process, and the work a unit of its own: with D-Bus, and without what only
# a machine needs that stays.
mkdir -p /run/systemd/system
cd /run/systemd/system || poweroff -ff
for name in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-sysusers systemd-binfmt \
    systemd-update-utmp systemd-journal-flush systemd-journald systemd-modules-load systemd-sysctl \
    systemd-remount-fs kmod-static-nodes systemd-timesyncd; do
    ln -s /dev/null "$name.service"
done
ln -s /dev/null modprobe@.service
cat >work.service <<'END'
[Unit]
Requires=dbus.socket
After=dbus.socket
[Service]
Environment=HOME=/root TERM=dumb
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
ExecStart=/bin/sh /run/work.sh
END
cd /
exec /lib/systemd/systemd --unit=work.service --show-status=no --log-target=null
