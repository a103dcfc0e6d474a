//! What a piece of work asks of the allocator, on the thread that does it.
//!
//! Counted by thread, so that tests that run beside one another do not count each other's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes held now and most bytes held since the last look; what another thread frees
    /// makes the first too high there and too low here.
    static HELD: Cell<(i64, i64)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: i64) {
    // A thread that is ending has nothing to tell any more.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + bytes, most.max(now + bytes)));
    });
}

/// No layout is larger than `isize::MAX`.
fn size(layout: Layout) -> i64 {
    layout.size() as i64
}

// SAFETY: the system's allocator does all the work; counting allocates nothing. What is
// not given here, growing above all, is made of these two: so both copies count.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-size(layout));
        // SAFETY: as the caller promises; all of it came from there.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What the work returns, and the most bytes that it held at a time beyond what was there.
pub fn most_held<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    let done = work();
    let most = HELD.with(|held| held.get().1);
    (done, u64::try_from(most - before).expect("the most is no less than what there was"))
}

#[test]
fn what_is_held_is_counted_with_what_was_given_back() {
    let (kept, most) = most_held(|| {
        drop(std::hint::black_box(vec![1_u8; 5_000]));
        std::hint::black_box(vec![1_u8; 3_000])
    });
    assert_eq!((kept.len(), most), (3_000, 5_000));
}
