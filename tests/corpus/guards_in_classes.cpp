// Two classes, each with a lock of its own in a std::lock_guard, call each other: one calls down, the other
// back. Healthy: the observer is called after the lock is given back.
#include <mutex>

#include "tests/corpus/corpus.h"

namespace {

volatile int is_in_inventory, is_in_orders;

class Inventory;

class Orders {
 public:
  NOINLINE void place(Inventory& inventory);
  NOINLINE void on_stock_change() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++changes_;
  }

 private:
  std::mutex mutex_;
  int changes_ = 0;
};

class Inventory {
 public:
  NOINLINE void reserve() {
    std::lock_guard<std::mutex> lock(mutex_);
    --stock_;
  }
  NOINLINE void restock(Orders& orders) {
    std::unique_lock<std::mutex> lock(mutex_);
    ++stock_;
    set_word(&is_in_inventory);
    if (faulty) await_word(&is_in_orders);
    if (!faulty) lock.unlock();
    orders.on_stock_change();
  }

 private:
  std::mutex mutex_;
  int stock_ = 0;
};

void Orders::place(Inventory& inventory) {
  std::lock_guard<std::mutex> lock(mutex_);
  set_word(&is_in_orders);
  if (faulty) await_word(&is_in_inventory);
  inventory.reserve();
}

Orders orders;
Inventory inventory;

void* take_orders(void*) {
  enter("order-desk");
  for (;; nap(BEAT_MS)) orders.place(inventory);
}

void* fill_stock(void*) {
  enter("warehouse");
  for (;; nap(BEAT_MS)) inventory.restock(orders);
}

}  // namespace

int main(int argc, char** argv) {
  corpus_begin(argc, argv);
  start(take_orders, nullptr);
  start(fill_stock, nullptr);
  culprit("order-desk", SYS_futex);
  culprit("warehouse", SYS_futex);
  live();
}
