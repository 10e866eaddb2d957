/* The open family: one path is hidden, everything else is as it was. */
#include "check.h"

#define HIDDEN "/proc/sysvipc/shm"

int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);

static int before_main;

__attribute__((constructor)) static void early(void) {
    before_main = open("/proc/self/maps", O_RDONLY);
}

static void *in_fifo(void *path) {
    open(path, O_RDONLY);
    return NULL;
}

static volatile int in_handler = -1;

static void handler(int signal) {
    (void)signal;
    in_handler = open64("/dev/null", O_RDWR);
}

static void opens(int fd) {
    CHECK(fd >= 0 && close(fd) == 0);
}

int main(int count, char **words) {
    CHECK(count == 2 && chdir(words[1]) == 0);
    CHECK(before_main >= 0);
    if (getenv("COSEG_DIR")) {
        FAILS(open(HIDDEN, O_RDONLY), ENOENT);
        FAILS(open64(HIDDEN, O_RDONLY), ENOENT);
        FAILS(openat(AT_FDCWD, HIDDEN, O_RDONLY), ENOENT);
        FAILS(openat(12345, HIDDEN, O_RDONLY), ENOENT);
        FAILS(openat64(12345, HIDDEN, O_RDONLY), ENOENT);
        FAILS(__open_2(HIDDEN, O_RDONLY), ENOENT);
        FAILS(__open64_2(HIDDEN, O_RDONLY), ENOENT);
        FAILS(__openat_2(12345, HIDDEN, O_RDONLY), ENOENT);
        FAILS(__openat64_2(12345, HIDDEN, O_RDONLY), ENOENT);
        FILE *file = fopen(HIDDEN, "r");
        int number = errno;
        CHECK(file == NULL && number == ENOENT);
        file = fopen64(HIDDEN, "r");
        number = errno;
        CHECK(file == NULL && number == ENOENT);
    }
    int fd = open("/dev/null", O_RDONLY);
    int lowest = fd;
    opens(fd);
    opens(open("/proc/sysvipc/msg", O_RDONLY));
    opens(open("/proc/sysvipc/../sysvipc/shm", O_RDONLY));
    int directory = open("/proc/sysvipc", O_RDONLY | O_DIRECTORY);
    opens(openat(directory, "shm", O_RDONLY));
    opens(directory);

    umask(0);
    fd = open("made", O_CREAT | O_EXCL | O_WRONLY, 0640);
    struct stat status;
    CHECK(fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 07777) == 0640);
    opens(fd);
    fd = openat(AT_FDCWD, "made64", O_CREAT | O_WRONLY, 04711);
    CHECK(fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 07777) == 04711);
    opens(fd);
    opens(__open_2("made", O_RDONLY));
    opens(__openat64_2(AT_FDCWD, "made", O_RDONLY));
    FILE *file = fopen64("made", "w");
    CHECK(file != NULL && fputs("text", file) >= 0 && fclose(file) == 0);
    FAILS(open("absent", O_RDONLY), ENOENT);
    FAILS(open("made", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
    FAILS(open((const char *)8, O_RDONLY), EFAULT);
    FAILS(openat(AT_FDCWD, NULL, O_RDONLY), EFAULT);
    file = fopen((const char *)8, "r");
    CHECK(file == NULL);
    fd = open("/dev/null", O_RDONLY);
    CHECK(fd == lowest);
    opens(fd);

    CHECK(signal(SIGUSR1, handler) != SIG_ERR && raise(SIGUSR1) == 0);
    opens(in_handler);

    pthread_t thread;
    void *result;
    CHECK(mkfifo("fifo", 0600) == 0);
    CHECK(pthread_create(&thread, NULL, in_fifo, "fifo") == 0);
    usleep(100000);
    CHECK(pthread_cancel(thread) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    return 0;
}
