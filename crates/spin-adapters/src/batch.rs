//! Work that the requests of an instance do together. A statement costs Spin and Postgres several times what its rows
//! do, so what requests ask while another statement is under way goes into the next one.

use std::{
    cell::{OnceCell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use futures::future::LocalBoxFuture;

use crate::latch::{Turn, Turns, start_spawned};

/// Runs a task that goes on when the request that began it is answered.
pub type Spawn = fn(LocalBoxFuture<'static, ()>);

/// Questions that wait to be asked together.
pub struct Batch<Q, A> {
    most: usize,
    spawn: Spawn,
    waiting: RefCell<VecDeque<Rc<Ticket<Q, A>>>>,
    /// Whose statement is under way.
    turns: Rc<Turns>,
}

/// A question and, in the end, its answer.
struct Ticket<Q, A> {
    question: Q,
    answer: OnceCell<Option<A>>,
}

/// Takes a question back that was not asked yet: nobody waits for its answer any more.
struct Waiting<'a, Q, A> {
    batch: &'a Batch<Q, A>,
    ticket: Rc<Ticket<Q, A>>,
}

impl<Q, A> Drop for Waiting<'_, Q, A> {
    fn drop(&mut self) {
        self.batch.waiting.borrow_mut().retain(|other| !Rc::ptr_eq(other, &self.ticket));
    }
}

/// Ends a statement, also when the task that runs it is cancelled: who has no answer then gets none, and the turn is over.
struct Asking<Q, A> {
    tickets: Vec<Rc<Ticket<Q, A>>>,
    _turn: Turn,
}

impl<Q, A> Drop for Asking<Q, A> {
    fn drop(&mut self) {
        for ticket in &self.tickets {
            ticket.answer.get_or_init(|| None);
        }
    }
}

impl<Q: Clone + 'static, A: Clone + 'static> Batch<Q, A> {
    /// No questions yet, and never more than `most` in one statement.
    pub fn new(most: usize, spawn: Spawn) -> Rc<Self> {
        Rc::new(Self { most, spawn, waiting: RefCell::default(), turns: Rc::default() })
    }

    /// Asks a question, together with those of other requests. `work` answers some questions, in their order, and bounds
    /// its own time. `None` when the task that asked for this request was cancelled: then nobody knows what became of
    /// the question.
    pub async fn ask<W>(self: &Rc<Self>, question: Q, work: W) -> Option<A>
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
            let Some(turn) = self.turns.take() else {
                self.turns.over().await;
                continue;
            };
            self.ask_some(turn, &work).await;
            if let Some(answer) = waiting.ticket.answer.get() {
                // This request has its answer; those that wait need not wait for one of them to notice.
                if let Some(turn) = self.next_turn() {
                    let batch = self.clone();
                    (self.spawn)(Box::pin(async move { batch.ask_all(turn, work).await }));
                    start_spawned().await;
                }
                return answer.clone();
            }
        }
    }

    async fn ask_all(&self, mut turn: Turn, work: impl AsyncFn(Vec<Q>) -> Vec<A>) {
        loop {
            self.ask_some(turn, &work).await;
            let Some(next) = self.next_turn() else { return };
            turn = next;
        }
    }

    /// The turn, where there is anything to ask and nobody asks.
    fn next_turn(&self) -> Option<Turn> {
        if self.waiting.borrow().is_empty() { None } else { self.turns.take() }
    }

    async fn ask_some(&self, turn: Turn, work: &impl AsyncFn(Vec<Q>) -> Vec<A>) {
        let asking = Asking { tickets: self.take(), _turn: turn };
        let questions = asking.tickets.iter().map(|ticket| ticket.question.clone()).collect();
        let answers = work(questions).await;
        for (ticket, answer) in asking.tickets.iter().zip(answers) {
            ticket.answer.get_or_init(|| Some(answer));
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
    use std::{future::poll_fn, pin::pin, task::Poll};

    use futures::{
        executor::{LocalPool, LocalSpawner, block_on},
        future::{join, join_all},
        task::LocalSpawnExt,
    };

    use super::*;

    const MOST: usize = 16;

    thread_local! {
        static SPAWNER: RefCell<Option<LocalSpawner>> = const { RefCell::new(None) };
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

    /// The sizes of the statements, in their order.
    type Sizes = Rc<RefCell<Vec<usize>>>;

    fn run<T>(test: impl AsyncFnOnce(Rc<Batch<u32, u32>>, Sizes) -> T) -> (T, Vec<usize>) {
        let mut pool = LocalPool::new();
        SPAWNER.set(Some(pool.spawner()));
        let spawn =
            |task| SPAWNER.with_borrow(|spawner| spawner.as_ref().unwrap().spawn_local(task).unwrap());
        let batch = Batch::new(MOST, spawn);
        let sizes = Sizes::default();
        let value = pool.run_until(test(batch, sizes.clone()));
        let sizes = sizes.borrow().clone();
        (value, sizes)
    }

    /// Asks for the double of a number, which takes some turns.
    async fn double(batch: &Rc<Batch<u32, u32>>, sizes: &Sizes, number: u32) -> Option<u32> {
        let sizes = sizes.clone();
        let work = async move |questions: Vec<u32>| {
            sizes.borrow_mut().push(questions.len());
            for _ in 0..5 {
                turn().await;
            }
            questions.into_iter().map(|question| question * 2).collect()
        };
        batch.ask(number, work).await
    }

    fn doubles(count: u32) -> Vec<Option<u32>> {
        (0..count).map(|number| Some(number * 2)).collect()
    }

    #[test]
    fn what_comes_while_a_statement_is_under_way_goes_into_the_next_one() {
        let (answers, sizes) =
            run(async |batch, sizes| join_all((0..12).map(|number| double(&batch, &sizes, number))).await);
        assert_eq!(answers, doubles(12));
        assert_eq!(sizes, [1, 11]);
    }

    #[test]
    fn no_statement_is_larger_than_the_limit() {
        let (answers, sizes) =
            run(async |batch, sizes| join_all((0..40).map(|number| double(&batch, &sizes, number))).await);
        assert_eq!(answers, doubles(40));
        assert_eq!(sizes, [1, MOST, MOST, 7]);
    }

    #[test]
    fn a_task_that_is_never_started_leaves_what_it_was_to_ask_to_those_who_wait() {
        let batch = Batch::new(MOST, drop);
        let sizes = Sizes::default();
        let answers = block_on(join_all((0..12).map(|number| double(&batch, &sizes, number))));
        assert_eq!(answers, doubles(12));
        assert_eq!(*sizes.borrow(), [1, 11]);
    }

    #[test]
    fn a_question_that_was_not_asked_yet_is_taken_back_with_its_request() {
        let (_, sizes) = run(async |batch, sizes| {
            let given_up = async {
                let mut waiting = pin!(double(&batch, &sizes, 2));
                let _ = futures::poll!(waiting.as_mut());
            };
            join(double(&batch, &sizes, 1), given_up).await
        });
        assert_eq!(sizes, [1]);
    }

    #[test]
    fn when_a_request_is_cancelled_those_it_asked_for_learn_that_there_is_no_answer_and_others_go_on() {
        let (answers, _) = run(async |batch, sizes| {
            let never = batch.ask(0, async |_: Vec<u32>| futures::future::pending().await);
            let mut first = Box::pin(never);
            let _ = futures::poll!(&mut first);
            let mut second = Box::pin(double(&batch, &sizes, 2));
            let _ = futures::poll!(&mut second);
            let asked_for = batch.waiting.borrow().front().cloned();
            drop(first);
            assert!(asked_for.is_some(), "the second was not asked for yet, and asks itself");
            second.await
        });
        assert_eq!(answers, Some(4));

        let (answer, _) = run(async |batch, _| {
            let follower = Rc::new(Ticket { question: 1, answer: OnceCell::new() });
            batch.waiting.borrow_mut().push_back(follower.clone());
            let mut leader = Box::pin(batch.ask(0, async |_: Vec<u32>| futures::future::pending().await));
            let _ = futures::poll!(&mut leader);
            drop(leader);
            follower.answer.get().copied()
        });
        assert_eq!(answer, Some(None));
    }
}
