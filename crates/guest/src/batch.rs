//! Statements that serve several requests of an instance. A statement costs Spin and Postgres several times what its rows
//! do, so what requests ask while one statement is in flight goes into the next one: 1.3 times as many look-ups of unknown
//! codes and 1.2 times as many creates (`docs/performance-experiments.md`).

use std::{
    cell::{OnceCell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use crate::{
    deadline::{Deadline, within},
    host::{spawn, start_spawned},
    wait::{Exclusive, Permit},
};

/// Questions that wait to be asked together.
pub struct Batch<Q, A> {
    most: usize,
    /// Whether an answer also serves those who asked the same while it was on its way.
    is_shared: fn(&A) -> bool,
    waiting: RefCell<VecDeque<Rc<Ticket<Q, A>>>>,
    /// Ensures at most one statement is in flight.
    statement: Rc<Exclusive>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Its deadline passed before it was asked; it never will be.
    NotAsked,
    /// The request whose task asked it was cancelled: nobody knows what became of it.
    Cancelled,
}

/// A question and, in the end, its answer.
struct Ticket<Q, A> {
    question: Q,
    answer: OnceCell<Result<A, Unanswered>>,
}

/// Withdraws a question that was not asked yet when nobody waits for its answer any more.
struct Waiting<'a, Q, A> {
    batch: &'a Batch<Q, A>,
    ticket: Rc<Ticket<Q, A>>,
}

impl<Q, A> Drop for Waiting<'_, Q, A> {
    fn drop(&mut self) {
        self.batch.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.ticket));
    }
}

/// A statement in flight. When its task is cancelled, the questions without an answer get [`Unanswered::Cancelled`].
struct Asking<Q, A> {
    tickets: Vec<Rc<Ticket<Q, A>>>,
    _permit: Permit,
}

impl<Q, A> Drop for Asking<Q, A> {
    fn drop(&mut self) {
        for ticket in &self.tickets {
            ticket.answer.get_or_init(|| Err(Unanswered::Cancelled));
        }
    }
}

impl<Q: Clone + PartialEq + 'static, A: Clone + 'static> Batch<Q, A> {
    /// A batch without questions that never asks more than `most` in one statement. `is_shared` says of an answer whether
    /// it also serves those who asked the same while it was on its way.
    #[must_use]
    pub fn new(most: usize, is_shared: fn(&A) -> bool) -> Rc<Self> {
        Rc::new(Self { most, is_shared, waiting: RefCell::default(), statement: Rc::default() })
    }

    /// Asks a question, together with those of other requests. `work` answers some questions, in their order, and bounds
    /// its own time.
    ///
    /// # Errors
    /// [`Unanswered`]; [`Unanswered::NotAsked`] when it is past `deadline`, or the statements before it took until then.
    pub async fn ask<W>(self: &Rc<Self>, question: Q, deadline: Deadline, work: W) -> Result<A, Unanswered>
    where
        W: AsyncFn(Vec<Q>) -> Vec<A> + 'static,
    {
        let ticket = Rc::new(Ticket { question, answer: OnceCell::new() });
        self.waiting.borrow_mut().push_back(ticket.clone());
        let waiting = Waiting { batch: self, ticket };
        loop {
            if let Some(answer) = waiting.ticket.answer.get() {
                return answer.clone();
            }
            let Some(permit) = self.statement.try_acquire() else {
                self.wait(&waiting.ticket, deadline).await?;
                continue;
            };
            if deadline.has_passed() {
                return Err(Unanswered::NotAsked);
            }
            self.ask_some(permit, &work).await;
            if let Some(answer) = waiting.ticket.answer.get() {
                // This request has its answer; the others need not wait until one of them is woken.
                if let Some(permit) = self.next_permit() {
                    let batch = self.clone();
                    spawn(async move { batch.ask_all(permit, work).await });
                    start_spawned().await;
                }
                return answer.clone();
            }
        }
    }

    /// Waits until the statement in flight is done, and not past the deadline of a question that is not part of it.
    async fn wait(&self, ticket: &Rc<Ticket<Q, A>>, deadline: Deadline) -> Result<(), Unanswered> {
        if within(deadline, self.statement.released()).await.is_none() {
            if self.waiting.borrow().iter().any(|waiting| Rc::ptr_eq(waiting, ticket)) {
                return Err(Unanswered::NotAsked);
            }
            // Its statement has a deadline of its own, and the answer tells whether the link is stored.
            if ticket.answer.get().is_none() {
                self.statement.released().await;
            }
        }
        Ok(())
    }

    async fn ask_all(&self, mut permit: Permit, work: impl AsyncFn(Vec<Q>) -> Vec<A>) {
        loop {
            self.ask_some(permit, &work).await;
            let Some(next) = self.next_permit() else { return };
            permit = next;
        }
    }

    /// The permit for one more statement, if there is a question and no statement in flight.
    fn next_permit(&self) -> Option<Permit> {
        if self.waiting.borrow().is_empty() { None } else { self.statement.try_acquire() }
    }

    async fn ask_some(&self, permit: Permit, work: &impl AsyncFn(Vec<Q>) -> Vec<A>) {
        let asking = Asking { tickets: self.take(), _permit: permit };
        let questions = asking.tickets.iter().map(|ticket| ticket.question.clone()).collect();
        let answers = work(questions).await;
        for (ticket, answer) in asking.tickets.iter().zip(answers) {
            if (self.is_shared)(&answer) {
                self.waiting.borrow_mut().retain(|waiting| {
                    let is_same = waiting.question == ticket.question;
                    if is_same {
                        waiting.answer.get_or_init(|| Ok(answer.clone()));
                    }
                    !is_same
                });
            }
            ticket.answer.get_or_init(|| Ok(answer));
        }
    }

    fn take(&self) -> Vec<Rc<Ticket<Q, A>>> {
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(self.most);
        waiting.drain(..count).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use futures::future::{join, join_all};

    use super::*;
    use crate::host::{
        monotonic,
        simulated::{run, sleep},
    };

    const MOST: usize = 16;
    const SECOND: Duration = Duration::from_secs(1);

    /// The sizes of the statements, in their order.
    type Sizes = Rc<RefCell<Vec<usize>>>;

    fn batch() -> (Rc<Batch<u32, u32>>, Sizes) {
        (Batch::new(MOST, |_| false), Sizes::default())
    }

    /// Asks for the double of a number, which takes a second.
    async fn double(batch: &Rc<Batch<u32, u32>>, sizes: &Sizes, number: u32) -> Result<u32, Unanswered> {
        let sizes = sizes.clone();
        let work = async move |questions: Vec<u32>| {
            sizes.borrow_mut().push(questions.len());
            sleep(SECOND).await;
            questions.into_iter().map(|question| question * 2).collect()
        };
        batch.ask(number, Deadline::after(SECOND * 60), work).await
    }

    fn doubles(count: u32) -> Vec<Result<u32, Unanswered>> {
        (0..count).map(|number| Ok(number * 2)).collect()
    }

    #[test]
    fn what_comes_while_a_statement_is_in_flight_goes_into_the_next_one() {
        let (batch, sizes) = batch();
        let answers = run(join_all((0..12).map(|number| double(&batch, &sizes, number))));
        assert_eq!(answers, doubles(12));
        assert_eq!(*sizes.borrow(), [1, 11]);
    }

    #[test]
    fn no_statement_is_larger_than_the_limit() {
        let (batch, sizes) = batch();
        let answers = run(join_all((0..40).map(|number| double(&batch, &sizes, number))));
        assert_eq!(answers, doubles(40));
        assert_eq!(*sizes.borrow(), [1, MOST, MOST, 7]);
    }

    #[test]
    fn a_question_that_waits_past_its_deadline_is_never_asked() {
        let (batch, sizes) = batch();
        run(async {
            let begun = monotonic();
            let impatient = async {
                let asked = async |_: Vec<u32>| unreachable!("asked after its deadline");
                let answer = batch.ask(2, Deadline::after(SECOND / 4), asked).await;
                (answer, monotonic().checked_sub(begun).unwrap())
            };
            let (first, (second, waited)) = join(double(&batch, &sizes, 1), impatient).await;
            assert_eq!((first, second), (Ok(2), Err(Unanswered::NotAsked)));
            assert!(waited < SECOND / 2, "{waited:?}");
        });
        assert_eq!(*sizes.borrow(), [1]);
    }

    #[test]
    fn a_question_that_comes_after_its_deadline_is_never_asked_and_holds_up_no_other() {
        let (batch, sizes) = batch();
        run(async {
            let deadline = Deadline::after(SECOND);
            sleep(SECOND).await;
            let asked = async |_: Vec<u32>| unreachable!("asked after its deadline");
            assert_eq!(batch.ask(1, deadline, asked).await, Err(Unanswered::NotAsked));
            assert_eq!(double(&batch, &sizes, 2).await, Ok(4));
        });
    }

    #[test]
    fn a_question_that_is_in_flight_at_its_deadline_gets_its_answer() {
        let (batch, sizes) = batch();
        let second = async {
            let work = async move |questions: Vec<u32>| {
                sleep(SECOND).await;
                questions
            };
            // It is asked after one second, and the deadline passes while the statement runs.
            batch.ask(7, Deadline::after(SECOND * 3 / 2), work).await
        };
        let third = double(&batch, &sizes, 3);
        let answers = run(async { futures::join!(double(&batch, &sizes, 1), second, third) });
        assert_eq!(answers, (Ok(2), Ok(14), Ok(6)));
    }

    #[test]
    fn a_question_that_was_not_asked_yet_is_withdrawn_with_its_request() {
        let (batch, sizes) = batch();
        run(async {
            let given_up = async {
                let mut waiting = pin!(double(&batch, &sizes, 2));
                let _ = futures::poll!(waiting.as_mut());
            };
            let (answer, ()) = join(double(&batch, &sizes, 1), given_up).await;
            assert_eq!(answer, Ok(2));
        });
        assert_eq!(*sizes.borrow(), [1]);
    }

    #[test]
    fn when_a_request_is_cancelled_the_questions_that_it_asked_have_no_answer_and_others_go_on() {
        let (batch, sizes) = batch();
        let later = Deadline::after(SECOND * 60);
        run(async {
            let never = batch.ask(0, later, async |_: Vec<u32>| futures::future::pending().await);
            let mut first = Box::pin(never);
            let _ = futures::poll!(&mut first);
            let mut second = Box::pin(double(&batch, &sizes, 2));
            let _ = futures::poll!(&mut second);
            drop(first);
            assert_eq!(second.await, Ok(4));

            let follower = Rc::new(Ticket { question: 1, answer: OnceCell::new() });
            batch.waiting.borrow_mut().push_back(follower.clone());
            let mut leader =
                Box::pin(batch.ask(0, later, async |_: Vec<u32>| futures::future::pending().await));
            let _ = futures::poll!(&mut leader);
            drop(leader);
            assert_eq!(follower.answer.get(), Some(&Err(Unanswered::Cancelled)));
        });
    }
}
