use strict;
use warnings;
use Test::More;
use IPC::SharedMem;
use IPC::SysV qw(IPC_CREAT IPC_PRIVATE S_IRUSR S_IWUSR memread memwrite shmat shmdt);

my $shm = IPC::SharedMem->new(IPC_PRIVATE, 8, S_IRUSR | S_IWUSR);
ok($shm, 'new') or diag $!;
ok($shm->id >= 0, 'id');
my $stat = $shm->stat;
ok($stat, 'stat');
is($stat->nattch, 0, 'nothing attached');
is($stat->segsz, 8, 'size');
is($stat->cpid, $$, 'creator');
is($stat->mode & 0777, 0600, 'mode');

ok(!defined $shm->addr, 'no address');
ok($shm->attach, 'attach');
ok(defined $shm->addr, 'address');
is($shm->stat->nattch, 1, 'attached once');
is($shm->stat->lpid, $$, 'by us');
ok($shm->write(pack('S', 4711), 2, 2), 'write');
is($shm->read(0, 2), pack('S', 0), 'read before');
is($shm->read(2, 2), pack('S', 4711), 'read there');

my $pid = fork;
die "fork: $!" unless defined $pid;
if ($pid == 0) {
    my $count = $shm->stat->nattch;
    $shm->write(pack('S', $count), 4, 2);
    $shm->detach;
    exec 'true' or exit 1;
}
waitpid $pid, 0;
is($?, 0, 'child');
is(unpack('S', $shm->read(4, 2)), 2, 'attached twice while it lived');
is($shm->stat->nattch, 1, 'attached once');

my $id = $shm->id;
my $second = shmat($id, undef, 0);
ok(defined $second, 'shmat');
my $text = '';
ok(memread($second, $text, 2, 2), 'memread');
is($text, pack('S', 4711), 'the same memory');
ok(memwrite($second, 'x', 0, 1), 'memwrite');
is($shm->read(0, 1), 'x', 'seen');
is($shm->stat->nattch, 2, 'attached twice');
is(shmdt($second), 0, 'shmdt');
is($shm->stat->nattch, 1, 'attached once');
ok(!defined shmdt($second), 'not twice');

ok($shm->remove, 'remove');
is($shm->stat->nattch, 1, 'still there');
is($shm->read(2, 2), pack('S', 4711), 'and readable');
ok($shm->detach, 'detach');
ok(!defined shmat($id, undef, 0), 'gone');
done_testing;
