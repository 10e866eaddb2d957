// Producer and consumer: one writes the letters and waits, the other prints them and answers with a star.

#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <time.h>

static const key_t KEY = 5678;
static const char LETTERS[27] = "abcdefghijklmnopqrstuvwxyz";
static const char ANSWER = '*';
static const struct timespec PAUSE = {.tv_nsec = 100000000};

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int find(int flags)
{
    int id = shmget(KEY, sizeof LETTERS, flags);
    if (id < 0) {
        int absent = errno == ENOENT;
        perror("shmget");
        exit(absent ? 1 : 2);
    }
    return id;
}

static char *attach(int id)
{
    void *memory = shmat(id, NULL, 0);
    if (memory == (void *)-1)
        fail("shmat");
    return memory;
}

static void produce(void)
{
    int id = find(IPC_CREAT | 0600);
    char *memory = attach(id);
    memcpy(memory, LETTERS, sizeof LETTERS);
    puts("waiting for the consumer");
    fflush(stdout);
    while (*(volatile char *)memory != ANSWER)
        nanosleep(&PAUSE, NULL);
    if (shmctl(id, IPC_RMID, NULL) < 0)
        fail("shmctl");
    puts("answered");
}

static void consume(void)
{
    char *memory = attach(find(0));
    printf("%.*s\n", (int)sizeof LETTERS, memory);
    fflush(stdout);
    *memory = ANSWER;
}

int main(int argc, char **argv)
{
    const char *verb = argc == 2 ? argv[1] : "";
    if (strcmp(verb, "produce") == 0) {
        produce();
    } else if (strcmp(verb, "consume") == 0) {
        consume();
    } else {
        fprintf(stderr, "usage: alphabet produce | consume\n");
        return 2;
    }
    return 0;
}
