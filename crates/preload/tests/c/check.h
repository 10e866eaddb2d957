/* One line on stderr and exit code 1 for the first expectation that is not met. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                        \
    do {                                                                                        \
        errno = 0;                                                                              \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition,   \
                    errno);                                                                     \
            _exit(1);                                                                           \
        }                                                                                       \
    } while (0)

/* The call returns -1 and sets errno to this. */
#define FAILS(call, number)                                                                     \
    do {                                                                                        \
        errno = 0;                                                                              \
        long result_ = (long)(call);                                                            \
        int errno_ = errno;                                                                     \
        if (result_ != -1 || errno_ != (number)) {                                              \
            fprintf(stderr, "%s:%d: %s: %ld, errno %d instead of %s\n", __FILE__, __LINE__,     \
                    #call, result_, errno_, #number);                                           \
            _exit(1);                                                                           \
        }                                                                                       \
    } while (0)
