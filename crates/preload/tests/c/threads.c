/* Threads that make, use and remove segments, their own and each other's; some of them are cancelled. */
#include "check.h"
#include <stdatomic.h>

enum { THREADS = 8, ROUNDS = 150, KEYS = 4 };
static atomic_int made;

static void *private_segments(void *argument) {
    for (int round = 0; round < ROUNDS; round++) {
        size_t size = 1 + (size_t)round * 37;
        int id = shmget(IPC_PRIVATE, size, 0600);
        CHECK(id >= 0);
        char *memory = shmat(id, NULL, 0);
        CHECK(memory != (void *)-1);
        CHECK(shmctl(id, IPC_RMID, NULL) == 0);
        CHECK(memory[0] == 0);
        memset(memory, (int)(long)argument, size);
        struct shmid_ds ds;
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1 && ds.shm_segsz == size);
        CHECK(memory[size - 1] == (char)(long)argument);
        CHECK(shmdt(memory) == 0);
        FAILS(shmctl(id, IPC_STAT, &ds), EINVAL);
    }
    return NULL;
}

static void *keyed_segments(void *argument) {
    (void)argument;
    for (int round = 0; round < ROUNDS; round++) {
        key_t key = 0x100 + round % KEYS;
        int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
        if (id >= 0) {
            made++;
        } else {
            CHECK(errno == EEXIST || shmget(key, 0, 0) != -2);
            id = shmget(key, 0, 0);
            if (id < 0)
                continue;
        }
        void *memory = shmat(id, NULL, 0);
        if (memory != (void *)-1)
            CHECK(shmdt(memory) == 0);
        (void)shmctl(id, IPC_RMID, NULL);
    }
    return NULL;
}

static void *until_cancelled(void *argument) {
    (void)argument;
    for (;;) {
        int id = shmget(IPC_PRIVATE, 100, 0600);
        CHECK(id >= 0);
        void *memory = shmat(id, NULL, 0);
        CHECK(memory != (void *)-1);
        CHECK(shmctl(id, IPC_RMID, NULL) == 0);
        CHECK(shmdt(memory) == 0);
        pthread_testcancel();
    }
}

int main(void) {
    pthread_t workers[2 * THREADS], victims[THREADS];
    for (long i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&workers[2 * i], NULL, private_segments, (void *)(i + 1)) == 0);
        CHECK(pthread_create(&workers[2 * i + 1], NULL, keyed_segments, NULL) == 0);
        CHECK(pthread_create(&victims[i], NULL, until_cancelled, NULL) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        usleep(20000);
        CHECK(pthread_cancel(victims[i]) == 0);
        CHECK(pthread_join(victims[i], &result) == 0 && result == PTHREAD_CANCELED);
    }
    for (int i = 0; i < 2 * THREADS; i++)
        CHECK(pthread_join(workers[i], NULL) == 0);
    CHECK(made > 0);
    struct shm_info usage;
    CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&usage) >= 0);
    CHECK(usage.used_ids == 0 && usage.shm_tot == 0);
    return 0;
}
