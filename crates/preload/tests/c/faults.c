/* Pointers into nowhere, and which of two mistakes is found first. */
#include "check.h"

#define NOWHERE ((void *)8)

int main(void) {
    int id = shmget(IPC_PRIVATE, 100, 0600);
    int stale = id + (1 << 15);
    CHECK(id >= 0);
    void *constant = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && munmap(pages + 4096, 4096) == 0);
    void *over_the_edge = pages + 4096 - 100;
    void *last_bytes = pages + 4096 - 112;
    void *nowhere[] = {NULL, NOWHERE, over_the_edge, (void *)-1, (void *)-4096, (void *)(1ul << 63)};

    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        void *at = nowhere[i];
        FAILS(shmctl(id, IPC_STAT, at), EFAULT);
        FAILS(shmctl(id & 0x7fff, SHM_STAT, at), EFAULT);
        FAILS(shmctl(id & 0x7fff, SHM_STAT_ANY, at), EFAULT);
        if (at != over_the_edge) {
            FAILS(shmctl(0, IPC_INFO, at), EFAULT);
            FAILS(shmctl(0, SHM_INFO, at), EFAULT);
        }
        FAILS(shmctl(id, IPC_SET, at), EFAULT);
        FAILS(shmctl(stale, IPC_STAT, at), EINVAL);
        FAILS(shmctl(9999, SHM_STAT, at), EINVAL);
        FAILS(shmctl(stale, IPC_SET, at), EFAULT);
        FAILS(shmctl(-1, IPC_SET, at), EINVAL);
        FAILS(shmctl(-1, IPC_INFO, at), EINVAL);
        FAILS(shmctl(-1, SHM_INFO, at), EINVAL);
        FAILS(shmctl(id, -1, at), EINVAL);
        FAILS(shmctl(id, 4711, at), EINVAL);
        FAILS(shmctl(id, IPC_STAT | 0x100, at), EINVAL);
        CHECK(shmctl(id, SHM_LOCK, at) == 0 && shmctl(id, SHM_UNLOCK, at) == 0);
    }
    FAILS(shmctl(id, IPC_STAT, constant), EFAULT);
    FAILS(shmctl(0, IPC_INFO, constant), EFAULT);
    FAILS(shmctl(id, IPC_STAT, (void *)"constant"), EFAULT);
    CHECK(shmctl(id, IPC_STAT, last_bytes) == 0);
    struct shmid_ds *ds = last_bytes;
    CHECK(ds->shm_segsz == 100);
    ds->shm_perm.mode = 0400;
    CHECK(mprotect(pages, 4096, PROT_READ) == 0);
    CHECK(shmctl(id, IPC_SET, last_bytes) == 0);

    FAILS(shmat(id, NOWHERE, 0), EINVAL);
    FAILS(shmat(-1, NULL, 0), EINVAL);
    FAILS(shmat(stale, NULL, 0), EINVAL);
    FAILS(shmdt(NULL), EINVAL);
    FAILS(shmdt(NOWHERE), EINVAL);
    FAILS(shmdt(pages), EINVAL);
    CHECK(shmctl(id, IPC_RMID, NOWHERE) == 0);
    return 0;
}
