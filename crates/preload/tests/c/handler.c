/* Cleans up in its SIGINT handler, as many a program does. With an argument the signal comes in the middle of
   other calls; without, while it sleeps. */
#include "check.h"

static int id;
static char *memory;

static void clean_up(int signal) {
    (void)signal;
    if (shmdt(memory) != 0)
        _exit(2);
    if (shmctl(id, IPC_RMID, NULL) != 0)
        _exit(3);
    _exit(0);
}

int main(int count, char **words) {
    (void)words;
    id = shmget(0x77, 4096, IPC_CREAT | 0600);
    CHECK(id >= 0);
    memory = shmat(id, NULL, 0);
    CHECK(memory != (void *)-1);
    CHECK(signal(SIGINT, clean_up) != SIG_ERR);
    CHECK(write(STDOUT_FILENO, "ready\n", 6) == 6);
    while (count < 2)
        pause();
    for (;;) {
        struct shmid_ds ds;
        CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch >= 1);
        void *second = shmat(id, NULL, 0);
        CHECK(second != (void *)-1 && shmdt(second) == 0);
    }
}
