/* A program as they are: its segment says nothing of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

enum color { RED, GREEN = 5, BLUE };
typedef unsigned short price_t;
struct point { int x, y; };

typedef struct {
    char name[8];
    char side;
    double rate;
    price_t prices[2][3];
    struct point where[2];
    enum color color;
    union { int number; float real; } both;
    struct { short inner; };
    unsigned ready : 1;
    int level : 5;
    const char *next;
    _Bool open;
    float small;
    signed char delta;
} Quote;

enum level { LOW, HIGH = 200 } __attribute__((packed));

struct __attribute__((packed)) packet {
    unsigned short length;
    unsigned flags : 24;
    enum level level;
};

struct market {
    long count;
    Quote quotes[2];
    struct packet packet;
};

int main(int argc, char **argv)
{
    int id = shmget((key_t)strtol(argv[argc - 1], NULL, 0), 4096, IPC_CREAT | IPC_EXCL | 0600);
    struct market *market = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (market == (void *)-1) {
        perror("market");
        return 1;
    }
    market->count = -2;
    Quote *quote = &market->quotes[1];
    strcpy(quote->name, "EURO");
    quote->side = 'b';
    quote->rate = 13.72;
    for (int i = 0; i < 6; i++)
        quote->prices[i / 3][i % 3] = (price_t)(i + 1);
    quote->where[1] = (struct point){ -3, 4 };
    quote->color = BLUE;
    quote->both.real = 1.0f;
    quote->inner = -7;
    quote->ready = 1;
    quote->level = -9;
    quote->next = (const char *)0x1234;
    quote->open = 1;
    quote->small = 0.1f;
    quote->delta = -1;
    market->packet = (struct packet){ 7, 0xabcdef, HIGH };
    puts("ready");
    fflush(stdout);
    getchar();
    shmctl(id, IPC_RMID, NULL);
    return 0;
}
