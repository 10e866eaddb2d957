// A boost::unordered_map in a managed_shared_memory, behind C functions, which the benchmark loads.
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>
#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <pthread.h>

namespace ipc = boost::interprocess;

using Value = std::array<std::uint64_t, 8>;
using Memory = ipc::managed_shared_memory;
using Pair = std::pair<const std::uint64_t, Value>;
using Allocator = ipc::allocator<Pair, Memory::segment_manager>;
using Map = boost::unordered_map<std::uint64_t, Value, boost::hash<std::uint64_t>, std::equal_to<std::uint64_t>, Allocator>;

// A mutex that outlives its owner, as no lock of Boost's does.
class Robust {
    pthread_mutex_t mutex;

public:
    Robust() {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&mutex, &attributes);
    }

    void lock() {
        if (pthread_mutex_lock(&mutex) == EOWNERDEAD) pthread_mutex_consistent(&mutex);
    }

    void unlock() { pthread_mutex_unlock(&mutex); }
};

struct Store {
    virtual bool get(std::uint64_t key, Value &value) = 0;
    virtual void put(std::uint64_t key, const Value &value) = 0;
};

template <class Lock> struct Locked : Store {
    Memory memory;
    Lock *lock;
    Map *map;

    Locked(const char *name, std::size_t count)
        : memory(ipc::open_or_create, name, 16 << 20), lock(memory.find_or_construct<Lock>("lock")()),
          map(memory.find_or_construct<Map>("map")(count, boost::hash<std::uint64_t>(), std::equal_to<std::uint64_t>(),
                                                   Allocator(memory.get_segment_manager()))) {}

    bool get(std::uint64_t key, Value &value) override {
        ipc::scoped_lock<Lock> held(*lock);
        auto found = map->find(key);
        if (found == map->end()) return false;
        value = found->second;
        return true;
    }

    void put(std::uint64_t key, const Value &value) override {
        ipc::scoped_lock<Lock> held(*lock);
        auto done = map->emplace(key, value);
        if (!done.second) done.first->second = value;
    }
};

extern "C" void *map_open(const char *name, std::size_t count, int robust) {
    try {
        if (robust) return static_cast<Store *>(new Locked<Robust>(name, count));
        return static_cast<Store *>(new Locked<ipc::interprocess_mutex>(name, count));
    } catch (...) {
        return nullptr;
    }
}

// 1 if there is one, 0 if there is none, -1 if that failed.
extern "C" int map_get(void *map, std::uint64_t key, Value *value) {
    try {
        return static_cast<Store *>(map)->get(key, *value);
    } catch (...) {
        return -1;
    }
}

// 1 if it is set, -1 if that failed.
extern "C" int map_put(void *map, std::uint64_t key, const Value *value) {
    try {
        static_cast<Store *>(map)->put(key, *value);
        return 1;
    } catch (...) {
        return -1;
    }
}
