// A note that outlives its writer: a string in a segment of 1 KiB, found by the key of a file.

#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

enum { SIZE_BYTES = 1024 };

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

static char *attach(int id, int flags)
{
    void *memory = shmat(id, NULL, flags);
    if (memory == (void *)-1)
        fail("shmat");
    return memory;
}

static void write_note(key_t key, char **words, int count)
{
    size_t length = (size_t)count - 1;
    for (int i = 0; i < count; i++)
        length += strlen(words[i]);
    if (length > SIZE_BYTES - 1) {
        fprintf(stderr, "the note has %zu bytes, there is room for %d\n", length, SIZE_BYTES - 1);
        exit(2);
    }
    char *end = attach(find(key, SIZE_BYTES, IPC_CREAT | 0600), 0);
    for (int i = 0; i < count; i++) {
        if (i > 0)
            *end++ = ' ';
        end = stpcpy(end, words[i]);
    }
}

int main(int argc, char **argv)
{
    const char *path = ".";
    if (argc > 2 && strcmp(argv[1], "--path") == 0) {
        path = argv[2];
        argc -= 2;
        argv += 2;
    }
    const char *verb = argc > 1 ? argv[1] : "";
    key_t key = ftok(path, 'n');
    if (key == -1)
        fail(path);

    if (strcmp(verb, "write") == 0 && argc > 2) {
        write_note(key, argv + 2, argc - 2);
    } else if (strcmp(verb, "read") == 0 && argc == 2) {
        // Whoever wrote it may have left no NUL.
        printf("%.*s\n", SIZE_BYTES, attach(find(key, SIZE_BYTES, 0), SHM_RDONLY));
    } else if (strcmp(verb, "remove") == 0 && argc == 2) {
        if (shmctl(find(key, 0, 0), IPC_RMID, NULL) < 0)
            fail("shmctl");
    } else {
        fprintf(stderr, "usage: notes [--path FILE] write TEXT... | read | remove\n");
        return 2;
    }
    return 0;
}
