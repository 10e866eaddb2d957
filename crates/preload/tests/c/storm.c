/* Threads attach and detach, children are forked meanwhile and use segments of their own, and a timer's handler
   asks in the middle of it all. */
#include "check.h"
#include <stdatomic.h>
#include <sys/time.h>

enum { THREADS = 4, CHILDREN = 150 };
static int id;
static atomic_int stop, asked;

static void ask(int signal) {
    (void)signal;
    int before = errno;
    struct shmid_ds ds;
    if (shmctl(id, IPC_STAT, &ds) != 0 || ds.shm_nattch < 1)
        abort();
    asked++;
    errno = before;
}

static void *attach(void *argument) {
    (void)argument;
    while (!stop) {
        char *memory = shmat(id, NULL, 0);
        CHECK(memory != (void *)-1 && memory[100] == 'x');
        CHECK(shmdt(memory) == 0);
    }
    return NULL;
}

int main(void) {
    id = shmget(IPC_PRIVATE, 4096, 0600);
    CHECK(id >= 0);
    char *memory = shmat(id, NULL, 0);
    CHECK(memory != (void *)-1);
    memory[100] = 'x';
    struct sigaction action = {.sa_handler = ask, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {{0, 700}, {0, 700}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, attach, NULL) == 0);

    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            CHECK(memory[100] == 'x');
            int own = shmget(IPC_PRIVATE, 8192, 0600);
            CHECK(own >= 0);
            void *at = shmat(own, NULL, 0);
            CHECK(at != (void *)-1);
            CHECK(shmctl(own, IPC_RMID, NULL) == 0);
            CHECK(shmdt(at) == 0);
            if (i % 2)
                CHECK(shmdt(memory) == 0);
            _exit(0);
        }
        int status;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    timer = (struct itimerval){{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    struct shmid_ds ds;
    CHECK(shmctl(id, IPC_STAT, &ds) == 0 && ds.shm_nattch == 1);
    CHECK(asked > 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0 && shmdt(memory) == 0);
    struct shm_info usage;
    CHECK(shmctl(0, SHM_INFO, (struct shmid_ds *)&usage) >= 0 && usage.used_ids == 0);
    return 0;
}
