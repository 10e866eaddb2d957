// A struct between parent and child, and four ints between strangers.

#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INTS_KEY = 1234, INT_COUNT = 4 };

struct Data {
    int a;
    double b;
    char x;
};

_Static_assert(offsetof(struct Data, b) == 8 && offsetof(struct Data, x) == 16 && sizeof(struct Data) == 24,
               "the Rust program puts the fields there");

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int find(key_t key, size_t size, int flags)
{
    int id = shmget(key, size, flags);
    if (id < 0) {
        int absent = errno == ENOENT;
        perror("shmget");
        exit(absent ? 1 : 2);
    }
    return id;
}

static void *attach(int id, int flags)
{
    void *memory = shmat(id, NULL, flags);
    if (memory == (void *)-1)
        fail("shmat");
    return memory;
}

static void show(const char *who, const struct Data *data)
{
    printf("%s a=%d b=%.2f x=%c\n", who, data->a, data->b, data->x);
    // What stays in the buffer at a fork is printed twice.
    fflush(stdout);
}

static void child(struct Data *data)
{
    show("child read", data);
    data->a += 1;
    data->b *= 2;
    data->x = 'c';
}

// The child of fork inherits the attachment; another program needs the id.
static void parent(char *program)
{
    int id = find(IPC_PRIVATE, sizeof(struct Data), IPC_CREAT | 0600);
    struct Data *data = attach(id, 0);
    *data = (struct Data){.a = 1, .b = 2.5, .x = 'p'};
    show("parent wrote", data);

    pid_t pid = fork();
    if (pid == 0 && program == NULL) {
        child(data);
        _exit(0);
    }
    if (pid == 0) {
        char number[16];
        snprintf(number, sizeof number, "%d", id);
        execl(program, program, "child", number, (char *)NULL);
        perror(program);
        _exit(2);
    }
    int status = -1;
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (shmctl(id, IPC_RMID, NULL) < 0)
        fail("shmctl");
    if (status != 0) {
        fprintf(stderr, "child: status %d\n", status);
        exit(2);
    }
    show("parent reads", data);
}

static int number(const char *text)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value != (int)value) {
        fprintf(stderr, "`%s`: not an int\n", text);
        exit(2);
    }
    return (int)value;
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    size_t size = INT_COUNT * sizeof(int);
    if (strcmp(verb, "private") == 0 && argc == 2) {
        parent(NULL);
    } else if (strcmp(verb, "private") == 0 && argc == 4 && strcmp(argv[2], "--child") == 0) {
        parent(argv[3]);
    } else if (strcmp(verb, "child") == 0 && argc == 3) {
        child(attach(number(argv[2]), 0));
    } else if (strcmp(verb, "write") == 0 && argc == 2 + INT_COUNT) {
        int values[INT_COUNT];
        for (int i = 0; i < INT_COUNT; i++)
            values[i] = number(argv[2 + i]);
        memcpy(attach(find(INTS_KEY, size, IPC_CREAT | 0600), 0), values, size);
    } else if (strcmp(verb, "read") == 0 && argc == 2) {
        const int *values = attach(find(INTS_KEY, size, 0), SHM_RDONLY);
        printf("%d %d %d %d\n", values[0], values[1], values[2], values[3]);
    } else if (strcmp(verb, "remove") == 0 && argc == 2) {
        if (shmctl(find(INTS_KEY, 0, 0), IPC_RMID, NULL) < 0)
            fail("shmctl");
    } else {
        fprintf(stderr, "usage: family private [--child PROGRAM] | child ID | write A B C D | read | remove\n");
        return 2;
    }
    return 0;
}
