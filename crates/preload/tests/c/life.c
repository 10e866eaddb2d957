/* A segment's life, as most programs live it. */
#include "check.h"

static struct shmid_ds stat_of(int id) {
    struct shmid_ds ds;
    memset(&ds, 0xff, sizeof ds);
    CHECK(shmctl(id, IPC_STAT, &ds) == 0);
    return ds;
}

int main(void) {
    key_t key = 0x51;
    time_t start = time(NULL);
    FAILS(shmget(key, 5000, 0600), ENOENT);
    int id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
    CHECK(id >= 0);
    FAILS(shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640), EEXIST);
    FAILS(shmget(key, 5001, 0), EINVAL);
    CHECK(shmget(key, 0, 0) == id);

    struct shmid_ds ds = stat_of(id);
    CHECK(ds.shm_perm.__key == key && ds.shm_perm.mode == 0640 && ds.shm_perm.__seq == id >> 15);
    CHECK(ds.shm_perm.uid == geteuid() && ds.shm_perm.cuid == geteuid());
    CHECK(ds.shm_perm.gid == getegid() && ds.shm_perm.cgid == getegid());
    CHECK(ds.shm_segsz == 5000 && ds.shm_nattch == 0 && ds.shm_cpid == getpid() && ds.shm_lpid == 0);
    CHECK(ds.shm_atime == 0 && ds.shm_dtime == 0 && ds.shm_ctime >= start && ds.shm_ctime <= time(NULL));
    const unsigned char *bytes = (const unsigned char *)&ds;
    for (size_t i = 26; i < 48; i++)
        CHECK(bytes[i] == 0);
    for (size_t i = 96; i < 112; i++)
        CHECK(bytes[i] == 0);

    char *memory = shmat(id, NULL, 0);
    CHECK(memory != (void *)-1);
    for (int i = 0; i < 8192; i++)
        CHECK(memory[i] == 0);
    strcpy(memory, "from the parent");
    errno = 77;
    int again = shmctl(id, IPC_STAT, &ds);
    int after = errno;
    CHECK(again == 0 && after == 77);
    CHECK(ds.shm_nattch == 1 && ds.shm_lpid == getpid() && ds.shm_atime >= start);

    int up[2], down[2];
    CHECK(pipe(up) == 0 && pipe(down) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(strcmp(memory, "from the parent") == 0);
        strcpy(memory + 4990, "child");
        CHECK(write(up[1], "x", 1) == 1);
        char c;
        CHECK(read(down[0], &c, 1) == 1);
        CHECK(shmdt(memory) == 0);
        FAILS(shmdt(memory), EINVAL);
        _exit(0);
    }
    char c;
    CHECK(read(up[0], &c, 1) == 1);
    CHECK(stat_of(id).shm_nattch == 2);
    CHECK(write(down[1], "x", 1) == 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(stat_of(id).shm_nattch == 1);
    CHECK(strcmp(memory + 4990, "child") == 0);

    /* An exec drops the attachment of the child; the parent's stays. */
    child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    CHECK(stat_of(id).shm_nattch == 1);

    struct shm_info usage;
    memset(&usage, 0xff, sizeof usage);
    int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&usage);
    CHECK(highest >= (id & 0x7fff) && usage.used_ids == 1 && usage.shm_tot == 2);
    CHECK(usage.shm_rss == 2 && usage.swap_attempts == 0 && usage.swap_successes == 0);
    struct shminfo limits;
    memset(&limits, 0xff, sizeof limits);
    CHECK(shmctl(0, IPC_INFO, (struct shmid_ds *)&limits) == highest);
    CHECK(limits.shmmin == 1 && limits.shmmni > 0 && limits.shmseg == limits.shmmni && limits.shmmax > 5000);
    CHECK(shmctl(id & 0x7fff, SHM_STAT, &ds) == id && ds.shm_segsz == 5000);
    CHECK(shmctl(id & 0x7fff, SHM_STAT_ANY, &ds) == id && ds.shm_nattch == 1);

    CHECK(shmctl(id, SHM_LOCK, NULL) == 0 && stat_of(id).shm_perm.mode == (0640 | 02000));
    CHECK(shmctl(id, SHM_UNLOCK, NULL) == 0 && stat_of(id).shm_perm.mode == 0640);
    ds = stat_of(id);
    ds.shm_perm.mode = 0600;
    ds.shm_segsz = 1;
    CHECK(shmctl(id, IPC_SET, &ds) == 0);
    ds = stat_of(id);
    CHECK(ds.shm_perm.mode == 0600 && ds.shm_segsz == 5000);

    char *read_only = shmat(id, NULL, SHM_RDONLY);
    CHECK(read_only != (void *)-1 && read_only != memory);
    CHECK(stat_of(id).shm_nattch == 2 && strcmp(read_only, "from the parent") == 0);
    CHECK(shmdt(read_only) == 0);

    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
    ds = stat_of(id);
    CHECK(ds.shm_perm.mode == (0600 | 01000) && ds.shm_perm.__key == 0);
    FAILS(shmget(key, 0, 0), ENOENT);
    CHECK(shmdt(memory) == 0);
    FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
    FAILS(shmat(id, NULL, 0), EINVAL);
    return 0;
}
