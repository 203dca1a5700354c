#!/usr/bin/env bash
# PID 1 of a kernel of the tests' own, which shares this machine's files: an NFS server, and its client.
#
# usage: init=nfs_init.sh of linux.uml; NFS_VERSION, NFS_OPTIONS, NFS_USER and NFS_RUN, what is run in
# the mounted share, come by its command line, as the kernel hands on what it does not know
set -Eeuo pipefail
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
# Its end is the machine's, or the kernel says that init was killed.
trap 'cd /; umount -l /mnt/share; echo o >/proc/sysrq-trigger; sleep 5' EXIT

mount -t proc proc /proc
mount -t sysfs sys /sys
for folder in /run /mnt /var/lib/nfs; do mount -t tmpfs none "$folder"; done
mkdir -p /mnt/lib/modules /mnt/export /mnt/share /var/lib/nfs/v4recovery /run/rpcbind
ln -s "/usr/lib/uml/modules/$(uname -r)" /mnt/lib/modules/
for module in nfsd nfs nfsv3 nfsv4; do modprobe --dirname /mnt "$module"; done
ip link set lo up
touch /var/lib/nfs/{etab,rmtab}
mount -t nfsd nfsd /proc/fs/nfsd
mount -t tmpfs none /mnt/export
exportfs -o "rw,sync,no_subtree_check,insecure,fsid=0,$NFS_OPTIONS" 127.0.0.1:/mnt/export 2>/dev/null
rpc.mountd --no-nfs-version 3 2>/dev/null # without UDP and IPv6, which this kernel has not
rpc.nfsd --no-nfs-version 3 --nfs-version 4.2 --grace-time 10 --lease-time 10 4 # which 4.0 waits for
chmod 755 /mnt/export
mkdir -m 755 /mnt/export/data
chown "$NFS_USER:$NFS_USER" /mnt/export/data
mount -t nfs4 -o "vers=$NFS_VERSION,proto=tcp" 127.0.0.1:/data /mnt/share
cd /mnt/share
eval "$NFS_RUN" 2>&1 && echo "ended well" || echo "ended with $?"
