// An exchange office whose board all customers share, and where of two trades at one time one is lost.

#define _XOPEN_SOURCE 700
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>

enum { KEY = 0x4557, COUNT = 4 };

struct Currency {
    double sell, buy;
    double stock;
};

static const char *const NAMES[COUNT] = {"DOLLAR", "EURO", "STERLIN", "POUND"};

static const char SPACE[] = " \t\r\n\f";

static const struct Currency OPENING[COUNT] = {
    {13.72, 13.40, 10000},
    {19.50, 18.92, 20000},
    {24.551, 24.552, 10000},
    {33.24, 33.25, 5000},
};

struct Order {
    int buys;
    int currency;
    double amount;
};

static void fail(const char *what)
{
    perror(what);
    exit(2);
}

static int find(int flags)
{
    int id = shmget(KEY, sizeof OPENING, flags);
    if (id < 0) {
        int absent = errno == ENOENT;
        perror("shmget");
        exit(absent ? 1 : 2);
    }
    return id;
}

static struct Currency *attach(int id, int flags)
{
    void *memory = shmat(id, NULL, flags);
    if (memory == (void *)-1)
        fail("shmat");
    return memory;
}

static void show(const struct Currency *board)
{
    printf("%-8s %10s %10s %12s\n", "currency", "sell", "buy", "stock");
    for (int i = 0; i < COUNT; i++)
        printf("%-8s %10.3f %10.3f %12.3f\n", NAMES[i], board[i].sell, board[i].buy, board[i].stock);
}

// Reads `buy EURO 10`; returns what is wrong with it, or NULL.
static const char *parse(char *line, struct Order *order)
{
    char *side = strtok(line, SPACE);
    char *currency = strtok(NULL, SPACE);
    char *amount = strtok(NULL, SPACE);
    if (amount == NULL || strtok(NULL, SPACE) != NULL)
        return "expected: buy|sell CURRENCY AMOUNT";

    order->buys = strcmp(side, "buy") == 0;
    if (!order->buys && strcmp(side, "sell") != 0)
        return "neither buy nor sell";

    for (order->currency = 0; order->currency < COUNT; order->currency++)
        if (strcmp(currency, NAMES[order->currency]) == 0)
            break;
    if (order->currency == COUNT)
        return "no such currency";

    char *end;
    order->amount = strtod(amount, &end);
    int plain = strspn(amount, "0123456789.") == strlen(amount) && *end == '\0';
    if (!plain || !(order->amount > 0) || !isfinite(order->amount))
        return "not an amount above zero";
    return NULL;
}

// Reads the board, computes, writes the board: nobody else is kept out meanwhile.
static int trade(struct Currency *shared, const struct Order *order, double *balance)
{
    struct Currency board[COUNT];
    memcpy(board, shared, sizeof board);
    struct Currency *currency = &board[order->currency];
    if (order->buys) {
        if (*balance < order->amount * currency->buy)
            return -1;
        *balance -= order->amount * currency->buy;
        currency->stock += order->amount;
    } else {
        if (currency->stock < order->amount)
            return -1;
        *balance += order->amount * currency->sell;
        currency->stock -= order->amount;
    }
    memcpy(shared, board, sizeof board);
    return 0;
}

static int serve(struct Currency *shared)
{
    double balance = 1000;
    int bad = 0;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    for (int number = 1; (length = getline(&line, &capacity, stdin)) >= 0; number++) {
        struct Order order;
        int has_nul = memchr(line, '\0', (size_t)length) != NULL;
        if (!has_nul && line[strspn(line, SPACE)] == '\0')
            continue;
        const char *wrong = has_nul ? "a NUL byte" : parse(line, &order);
        if (wrong != NULL) {
            fprintf(stderr, "line %d: %s\n", number, wrong);
            bad++;
            continue;
        }
        int result = trade(shared, &order, &balance);
        printf("%s %s %.3f: %d\n", order.buys ? "buy" : "sell", NAMES[order.currency], order.amount, result);
    }
    if (ferror(stdin))
        fail("standard input");
    free(line);
    printf("balance %.3f\n", balance);
    if (bad > 0)
        fprintf(stderr, "lines skipped: %d\n", bad);
    return bad > 0 ? 2 : 0;
}

int main(int argc, char **argv)
{
    const char *verb = argc == 2 ? argv[1] : "";
    if (strcmp(verb, "init") == 0) {
        struct Currency *board = attach(find(IPC_CREAT | IPC_EXCL | 0600), 0);
        memcpy(board, OPENING, sizeof OPENING);
        show(board);
    } else if (strcmp(verb, "trade") == 0) {
        return serve(attach(find(0), 0));
    } else if (strcmp(verb, "show") == 0) {
        show(attach(find(0), SHM_RDONLY));
    } else if (strcmp(verb, "close") == 0) {
        if (shmctl(find(0), IPC_RMID, NULL) < 0)
            fail("shmctl");
    } else {
        fprintf(stderr, "usage: exchange init | trade | show | close\n");
        return 2;
    }
    return 0;
}
