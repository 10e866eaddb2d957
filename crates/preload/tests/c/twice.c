/* Two calls that cannot work, since the namespace cannot be opened; the program goes on. */
#include "check.h"

int main(void) {
    for (int i = 0; i < 2; i++) {
        int result = shmget(IPC_PRIVATE, 100, 0600);
        int number = errno;
        CHECK(result == -1 && number != 0);
    }
    return 0;
}
