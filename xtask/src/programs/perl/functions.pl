use strict;
use warnings;
use Test::More;
use Errno qw(EEXIST EINVAL ENOENT);
use IPC::SysV qw(IPC_CREAT IPC_EXCL IPC_PRIVATE IPC_RMID IPC_SET IPC_STAT S_IRUSR S_IWUSR ftok);

my $key = ftok('/etc/passwd', 7);
ok(defined $key, 'ftok');
ok(!defined shmget($key, 100, 0), 'no such key');
is($! + 0, ENOENT, 'ENOENT');

my $id = shmget($key, 10000, IPC_CREAT | IPC_EXCL | S_IRUSR | S_IWUSR);
ok(defined $id, "shmget: $!");
ok(!defined shmget($key, 10000, IPC_CREAT | IPC_EXCL | 0600), 'exclusive');
is($! + 0, EEXIST, 'EEXIST');
ok(!defined shmget($key, 10001, 0), 'too large');
is($! + 0, EINVAL, 'EINVAL');
is(shmget($key, 0, 0), $id, 'found by key');

ok(shmwrite($id, 'hello, world', 100, 12), 'shmwrite');
my $text;
ok(shmread($id, $text, 98, 16), 'shmread');
is($text, "\0\0hello, world\0\0", 'what was written');
ok(shmwrite($id, 'abc', 0, 8), 'shmwrite pads');
ok(shmread($id, $text, 0, 8) && $text eq "abc\0\0\0\0\0", 'with zeroes');
ok(!eval { shmread($id, $text, 9999, 2) }, 'past the end');

my $pid = fork;
die "fork: $!" unless defined $pid;
if ($pid == 0) {
    my $seen;
    exit 1 unless shmread($id, $seen, 100, 5) && $seen eq 'hello';
    exit 2 unless shmwrite($id, 'HELLO', 100, 5);
    exit 0;
}
waitpid $pid, 0;
is($?, 0, 'child');
ok(shmread($id, $text, 100, 12) && $text eq 'HELLO, world', 'what the child wrote');

my $data = '';
ok(shmctl($id, IPC_STAT, $data), 'IPC_STAT');
is(length $data, 112, 'struct shmid_ds');
my ($dkey, $uid, $gid, $cuid, $cgid, $mode) = unpack 'iIIIII', $data;
my ($size) = unpack 'x48 Q', $data;
my ($nattch) = unpack 'x88 Q', $data;
is($dkey & 0xffffffff, $key & 0xffffffff, 'key');
is("$uid $cuid", "$> $>", 'owner and creator');
is(sprintf('%o', $mode), '600', 'mode');
is($size, 10000, 'size');
is($nattch, 0, 'nothing attached');
substr($data, 20, 4) = pack 'I', 0400;
ok(shmctl($id, IPC_SET, $data), 'IPC_SET');
ok(shmctl($id, IPC_STAT, $data), 'IPC_STAT');
is(unpack('x20 I', $data), 0400, 'mode changed');
my $zero = shmctl($id, IPC_RMID, 0);
is($zero, '0 but true', 'IPC_RMID');
ok(!shmctl($id, IPC_STAT, $data), 'gone');
is($! + 0, EINVAL, 'EINVAL');
done_testing;
