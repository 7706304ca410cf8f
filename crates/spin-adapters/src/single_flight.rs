//! One look-up for all requests of an instance that ask for the same code at the same time.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use shortlink_core::{
    Code, Lookup, NewLink,
    ports::{Claim, LinkStore, StoreError},
};

use crate::latch::Signal;

/// A store that is asked for a code once at a time.
pub struct SingleFlight<S> {
    store: S,
    flights: RefCell<BTreeMap<Code, Rc<Flight>>>,
    begun: Cell<u64>,
}

/// A look-up under way.
#[derive(Default)]
struct Flight {
    /// How many look-ups had begun with this one.
    number: u64,
    outcome: OnceCell<Result<Lookup, StoreError>>,
    landed: Signal,
}

/// Ends a flight, also when the request that leads it is cancelled.
struct Landing<'a> {
    flights: &'a RefCell<BTreeMap<Code, Rc<Flight>>>,
    code: &'a Code,
    flight: Rc<Flight>,
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.flights.borrow_mut().remove(self.code);
        self.flight.landed.wake();
    }
}

impl<S: LinkStore> SingleFlight<S> {
    /// Wraps a store.
    pub fn new(store: S) -> Self {
        Self { store, flights: RefCell::default(), begun: Cell::default() }
    }

    async fn lead(&self, code: &Code) -> Result<Lookup, StoreError> {
        let number = self.begun.get().saturating_add(1);
        self.begun.set(number);
        let flight = Rc::new(Flight { number, ..Flight::default() });
        self.flights.borrow_mut().insert(code.clone(), flight.clone());
        let landing = Landing { flights: &self.flights, code, flight };
        let outcome = self.store.find(code).await;
        landing.flight.outcome.get_or_init(|| outcome.clone());
        outcome
    }
}

impl<S: LinkStore> LinkStore for SingleFlight<S> {
    async fn create(&self, link: &NewLink) -> Result<Claim, StoreError> {
        self.store.create(link).await
    }

    async fn find(&self, code: &Code) -> Result<Lookup, StoreError> {
        let before = self.begun.get();
        loop {
            let flight = self.flights.borrow().get(code).cloned();
            let Some(flight) = flight else {
                return self.lead(code).await;
            };
            flight.landed.wait().await;
            match flight.outcome.get() {
                // A live link stays what it is until it expires, and who failed just now would fail again.
                Some(outcome @ (Ok(Lookup::Live(_)) | Err(_))) => return outcome.clone(),
                // That there is none may be old news: the link may have been created after that look-up, and before
                // this request.
                Some(outcome) if flight.number > before => return outcome.clone(),
                Some(_) | None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{
        executor::block_on,
        future::{Either, join, join_all, select},
    };
    use shortlink_core::{Expiry, Link, TargetUrl, Timestamp};
    use std::{future::poll_fn, pin::pin, task::Poll};

    use super::*;

    /// Answers after a few turns of the executor with what it was told when the look-up began.
    struct SlowStore {
        answer: RefCell<Result<Lookup, StoreError>>,
        asked: Cell<usize>,
    }

    async fn turn() {
        let mut turned = false;
        poll_fn(|context| {
            if std::mem::replace(&mut turned, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    impl LinkStore for SlowStore {
        async fn create(&self, _: &NewLink) -> Result<Claim, StoreError> {
            Ok(Claim::Created)
        }

        async fn find(&self, _: &Code) -> Result<Lookup, StoreError> {
            self.asked.set(self.asked.get() + 1);
            let answer = self.answer.borrow().clone();
            for _ in 0..5 {
                turn().await;
            }
            answer
        }
    }

    fn world(answer: Result<Lookup, StoreError>) -> SingleFlight<SlowStore> {
        let store = SlowStore { answer: RefCell::new(answer), asked: Cell::default() };
        SingleFlight::new(store)
    }

    fn live() -> Lookup {
        Lookup::Live(Link {
            target: TargetUrl::parse("https://example.com/", &[]).unwrap(),
            expiry: Expiry::stored(Timestamp::from_unix_millis(0)),
        })
    }

    fn code() -> Code {
        Code::parse("hot").unwrap()
    }

    #[test]
    fn many_requests_for_one_link_ask_once() {
        for answer in [Ok(live()), Err(StoreError::Unavailable("down".into()))] {
            let store = world(answer.clone());
            let code = code();
            let answers = block_on(join_all((0..16).map(|_| store.find(&code))));
            assert_eq!(answers, vec![answer; 16]);
            assert_eq!(store.store.asked.get(), 1);
        }
    }

    #[test]
    fn requests_for_different_codes_do_not_wait_for_each_other() {
        let store = world(Ok(live()));
        let codes: Vec<Code> = (0..4).map(Code::from_number).collect();
        block_on(join_all(codes.iter().map(|code| store.find(code))));
        assert_eq!(store.store.asked.get(), 4);
    }

    #[test]
    fn a_link_created_meanwhile_is_found_by_who_asks_after_that() {
        let store = world(Ok(Lookup::Unknown));
        let code = code();
        let late = async {
            turn().await;
            *store.store.answer.borrow_mut() = Ok(live());
            join_all((0..15).map(|_| store.find(&code))).await
        };
        let (early, late) = block_on(join(store.find(&code), late));
        assert_eq!(early, Ok(Lookup::Unknown));
        assert_eq!(late, vec![Ok(live()); 15]);
        assert_eq!(store.store.asked.get(), 2);
    }

    #[test]
    fn when_the_asking_request_is_cancelled_another_asks() {
        let store = world(Ok(live()));
        let code = code();
        let cancelled = async {
            let _: Either<_, _> = select(pin!(store.find(&code)), pin!(turn())).await;
        };
        let (answer, ()) = block_on(async {
            let mut first = pin!(cancelled);
            // The first one leads before the second one asks.
            let _ = futures::poll!(first.as_mut());
            join(store.find(&code), first).await
        });
        assert_eq!(answer, Ok(live()));
        assert_eq!(store.store.asked.get(), 2);
    }
}
