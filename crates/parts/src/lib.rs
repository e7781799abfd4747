//! Long work in parts.
//!
//! Work that may take long is an `async` function that comes by [`pause`] from time to time. Nobody is waited for there: whoever
//! does the work decides whether it goes on at once ([`finish`]) or later ([`Parts`]), and to drop it is to end it. What comes of it
//! is the same, as the work does not know. There are no threads, no wakers and no clock in this.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// A place at which work may stop for a while.
pub async fn pause() {
    let mut stopped = false;
    poll_fn(|_| if std::mem::replace(&mut stopped, true) { Poll::Ready(()) } else { Poll::Pending }).await
}

/// Does work to its end.
pub fn finish<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

/// Work that is given up when it has come by so many pauses: `None` then.
pub async fn at_most<T>(pauses: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (pin!(work), pauses);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Work that is done part by part.
pub struct Parts<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Parts<T> {
    /// Nothing of it is done yet.
    pub fn new(work: impl Future<Output = T> + 'static) -> Parts<T> {
        Parts(Box::pin(work))
    }

    /// Goes on to the next [`pause`]; `Some` is what came of it in the end. Then it must not be asked again.
    pub fn go_on(&mut self) -> Option<T> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::rc::Rc;

    async fn count(to: u32, seen: Rc<RefCell<Vec<u32>>>) -> u32 {
        for n in 0..to {
            seen.borrow_mut().push(n);
            pause().await;
        }
        to
    }

    #[test]
    fn work_stops_at_each_pause_and_goes_on_there() {
        let seen = Rc::default();
        let mut parts = Parts::new(count(2, Rc::clone(&seen)));
        assert_eq!(*seen.borrow(), []);
        assert_eq!((parts.go_on(), seen.borrow().clone()), (None, vec![0]));
        assert_eq!((parts.go_on(), seen.borrow().clone()), (None, vec![0, 1]));
        assert_eq!(parts.go_on(), Some(2));
    }

    #[test]
    fn work_that_is_finished_at_once_passes_its_pauses() {
        let seen = Rc::default();
        assert_eq!(finish(count(3, Rc::clone(&seen))), 3);
        assert_eq!(*seen.borrow(), [0, 1, 2]);
    }

    #[test]
    fn work_that_takes_too_long_is_given_up() {
        assert_eq!(finish(at_most(3, count(3, Rc::default()))), Some(3));
        let seen = Rc::default();
        assert_eq!(finish(at_most(2, count(3, Rc::clone(&seen)))), None);
        assert_eq!(*seen.borrow(), [0, 1, 2]);
    }
}
