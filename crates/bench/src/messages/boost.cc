// boost::interprocess::message_queue behind C functions, which the benchmark loads.
#include <boost/interprocess/ipc/message_queue.hpp>
#include <new>

using boost::interprocess::message_queue;

extern "C" void *queue_create(const char *name, std::size_t depth, std::size_t size_bytes) {
    try {
        message_queue::remove(name);
        return new message_queue(boost::interprocess::create_only, name, depth, size_bytes);
    } catch (...) {
        return nullptr;
    }
}

extern "C" void *queue_open(const char *name) {
    try {
        return new message_queue(boost::interprocess::open_only, name);
    } catch (...) {
        return nullptr;
    }
}

// 1 if sent, 0 if there is no room, -1 if that failed.
extern "C" int queue_send(void *queue, const void *bytes, std::size_t size_bytes, int waits) {
    try {
        auto *self = static_cast<message_queue *>(queue);
        if (!waits) return self->try_send(bytes, size_bytes, 0);
        self->send(bytes, size_bytes, 0);
        return 1;
    } catch (...) {
        return -1;
    }
}

// 1 if received, 0 if there is no message, -1 if that failed.
extern "C" int queue_receive(void *queue, void *bytes, std::size_t size_bytes, int waits) {
    try {
        auto *self = static_cast<message_queue *>(queue);
        message_queue::size_type found_bytes = 0;
        unsigned priority = 0;
        if (!waits) return self->try_receive(bytes, size_bytes, found_bytes, priority);
        self->receive(bytes, size_bytes, found_bytes, priority);
        return 1;
    } catch (...) {
        return -1;
    }
}

extern "C" void queue_remove(const char *name) { message_queue::remove(name); }
