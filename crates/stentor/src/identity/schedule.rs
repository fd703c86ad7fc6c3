//! When keys may be fetched, and when they must be: [`Schedule`].

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Says when the next fetch of a key set is due. It fetches nothing and reads no clock.
///
/// ```text
///            due ─▶ begin            succeeded: after the interval, or sooner by Cache-Control
///  Waiting ────────────────▶ Fetching ──────────────────────────────────────────────────────▶ Waiting
///     ▲ wish: sooner, but GAP after the last                 failed: 2 s, 4 s, … 30 s
/// ```
#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    state: State,
    /// When the last fetch ended.
    ended: Option<Instant>,
    /// How many fetches failed since the last that did not.
    failures: u32,
    questions: Questions,
}

/// Which keys tokens have asked for, by digests: without this, a token that names no key of the provider's would be told to
/// come again for as long as anybody asks.
#[derive(Debug, Default)]
struct Questions {
    /// Asked since the last fetch began.
    open: BTreeSet<u64>,
    /// Asked before the fetch that is under way began.
    put: BTreeSet<u64>,
    /// Asked before the last fetch that brought keys began: who asks again has its answer.
    answered: BTreeSet<u64>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Waiting { due: Instant },
    Fetching,
}

/// What becomes of the wish for newer keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// The keys were fetched since the same was asked first. They are fetched again all the same, as soon as they may be.
    Answered,
    /// A fetch is due now.
    Now,
    /// A fetch has begun already; what was published since may be missing from it.
    UnderWay,
    /// A fetch is due at that moment.
    Later(Instant),
}

impl Schedule {
    /// A schedule whose first fetch is due now. No later fetch is further away than `interval`.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval,
            state: State::Waiting { due: now },
            ended: None,
            failures: 0,
            questions: Questions::default(),
        }
    }

    /// When the next fetch is due; `None` while one is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { due } => Some(due),
            State::Fetching => None,
        }
    }

    /// A token names a key that is not known; `question` tells such keys apart.
    pub(super) fn wish(&mut self, now: Instant, question: u64) -> Wish {
        self.questions.ask(question);
        let State::Waiting { due } = &mut self.state else { return Wish::UnderWay };
        // While fetches fail their own rhythm counts: it is no faster for many who wish.
        if let Some(ended) = self.ended.filter(|_| self.failures == 0) {
            *due = (*due).min(ended + GAP);
        }
        match *due {
            due if due <= now => Wish::Now,
            _ if self.questions.answered.contains(&question) => Wish::Answered,
            due => Wish::Later(due),
        }
    }

    pub(super) fn begin(&mut self) {
        self.questions.put.append(&mut self.questions.open);
        self.state = State::Fetching;
    }

    /// The keys are there; the provider says that they are good for `max_age`.
    pub(super) fn succeeded(&mut self, now: Instant, max_age: Option<Duration>) {
        let wait = max_age.map_or(self.interval, |age| age.max(MIN_AGE).min(self.interval));
        self.failures = 0;
        self.questions.answered = std::mem::take(&mut self.questions.put);
        self.wait(now, wait);
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LAST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        self.wait(now, pause);
    }

    fn wait(&mut self, now: Instant, wait: Duration) {
        self.ended = Some(now);
        self.state = State::Waiting { due: now + wait };
    }
}

impl Questions {
    /// Remembers a question; one too many is told to come again until there is room.
    fn ask(&mut self, question: u64) {
        if self.open.len() + self.put.len() < MAX_QUESTIONS {
            self.open.insert(question);
        }
    }
}

/// Questions that wait for a fetch at most, in 8 bytes each.
const MAX_QUESTIONS: usize = 1_024;

/// Between the end of a fetch and the next that somebody wishes for: fewer than five a minute, however many wish.
const GAP: Duration = Duration::from_secs(12);

/// However short-lived a provider says that its keys are.
const MIN_AGE: Duration = Duration::from_secs(60);

/// Between a fetch that failed and the next.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, in seconds since the start, and when the next fetch is due afterwards.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Begin,
        Succeed(Option<u64>),
        Fail,
        Wish(Wanted),
    }

    #[derive(Clone, Copy, Debug)]
    enum Wanted {
        Now,
        UnderWay,
        Later,
    }

    use Step::{Begin, Fail, Succeed};
    const NOW: Step = Step::Wish(Wanted::Now);
    const UNDER_WAY: Step = Step::Wish(Wanted::UnderWay);
    const LATER: Step = Step::Wish(Wanted::Later);

    /// Each row: a story, as steps with their second and the second in which the next fetch is due after them.
    #[test]
    fn fetches_are_due_as_the_table_says() {
        type Row<'a> = (&'a str, &'a [(u64, Step, Option<u64>)]);
        let rows: &[Row<'_>] = &[
            ("the first fetch is due at once", &[(0, NOW, Some(0)), (0, Begin, None), (1, UNDER_WAY, None)]),
            ("without a word of the provider's the interval counts", &[(1, Succeed(None), Some(301))]),
            ("a shorter age is heeded", &[(0, Succeed(Some(100)), Some(100))]),
            ("but not a very short one", &[(0, Succeed(Some(0)), Some(60))]),
            ("and not a long one", &[(0, Succeed(Some(86_400)), Some(300))]),
            ("a wish brings the next fetch forward", &[(0, Succeed(None), Some(300)), (100, NOW, Some(12))]),
            (
                "but leaves a gap, and is not forgotten",
                &[
                    (0, Succeed(None), Some(300)),
                    (3, LATER, Some(12)),
                    (11, LATER, Some(12)),
                    (12, NOW, Some(12)),
                ],
            ),
            (
                "pauses grow while fetches fail",
                &[
                    (0, Fail, Some(2)),
                    (2, Fail, Some(6)),
                    (6, Fail, Some(14)),
                    (14, Fail, Some(30)),
                    (30, Fail, Some(60)),
                    (60, Fail, Some(90)),
                    (90, Fail, Some(120)),
                ],
            ),
            ("a wish does not hurry them", &[(0, Fail, Some(2)), (1, LATER, Some(2)), (2, NOW, Some(2))]),
            (
                "a success begins anew",
                &[
                    (0, Fail, Some(2)),
                    (2, Fail, Some(6)),
                    (6, Succeed(None), Some(306)),
                    (306, Fail, Some(308)),
                ],
            ),
        ];
        for (story, steps) in rows {
            let start = Instant::now();
            let mut schedule = Schedule::new(Duration::from_secs(300), start);
            for (second, step, due) in *steps {
                let now = start + Duration::from_secs(*second);
                match step {
                    Begin => schedule.begin(),
                    Succeed(age) => schedule.succeeded(now, age.map(Duration::from_secs)),
                    Fail => schedule.failed(now),
                    Step::Wish(wanted) => match (schedule.wish(now, 0), wanted) {
                        (Wish::Now, Wanted::Now) | (Wish::UnderWay, Wanted::UnderWay) => {}
                        (Wish::Later(at), Wanted::Later) => assert_eq!(Some(at), schedule.due(), "{story}"),
                        (given, wanted) => {
                            panic!("{story}: {given:?} instead of {wanted:?} in second {second}")
                        }
                    },
                }
                let expected = due.map(|due| start + Duration::from_secs(due));
                assert_eq!(schedule.due(), expected, "{story}: after {step:?} in second {second}");
            }
        }
    }

    /// The provider answers at once, or never, and somebody wishes at every moment.
    #[test]
    fn however_many_wish_there_are_at_most_five_fetches_in_any_minute() {
        for answers in [true, false] {
            let start = Instant::now();
            let mut schedule = Schedule::new(Duration::from_secs(300), start);
            let mut fetches = Vec::new();
            for tenth in 0..6_000 {
                let now = start + Duration::from_millis(tenth * 100);
                if schedule.wish(now, 0) == Wish::Now {
                    schedule.begin();
                    fetches.push(tenth);
                    if answers { schedule.succeeded(now, Some(Duration::ZERO)) } else { schedule.failed(now) }
                }
            }
            for (index, first) in fetches.iter().enumerate() {
                let in_a_minute = fetches[index..].iter().filter(|at| **at < first + 600).count();
                assert!(in_a_minute <= 5, "{in_a_minute} fetches within a minute from tenth {first}");
            }
            let longest = fetches.windows(2).map(|pair| pair[1] - pair[0]).max().expect("many fetches");
            assert!(longest <= 300, "a new key would wait for {longest} tenths of a second");
        }
    }

    /// The background fetches when it is due, between any two wishes, and the provider answers at once.
    #[test]
    fn who_asks_for_a_key_that_is_missing_has_its_answer_after_the_next_fetch() {
        let start = Instant::now();
        let second = |second| start + Duration::from_secs(second);
        let mut schedule = Schedule::new(Duration::from_secs(300), start);
        schedule.begin();
        schedule.succeeded(start, None);
        assert_eq!(schedule.wish(second(1), 1), Wish::Later(second(12)));
        schedule.begin();
        assert_eq!(schedule.wish(second(12), 2), Wish::UnderWay);
        schedule.succeeded(second(12), None);
        assert_eq!(schedule.wish(second(13), 1), Wish::Answered);
        assert_eq!(schedule.wish(second(13), 2), Wish::Later(second(24)), "its fetch had begun before");
        assert_eq!(schedule.due(), Some(second(24)), "a key that is published now is found soon");
        schedule.begin();
        schedule.failed(second(24));
        assert_eq!(schedule.wish(second(25), 2), Wish::Later(second(26)), "nothing was learned");
        schedule.begin();
        schedule.succeeded(second(26), None);
        assert_eq!(schedule.wish(second(27), 2), Wish::Answered);
    }

    #[test]
    fn what_is_remembered_of_questions_is_bounded() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(300), start);
        for question in 0..10_000 {
            schedule.wish(start, question);
        }
        schedule.begin();
        for question in 10_000..20_000 {
            schedule.wish(start, question);
        }
        assert!(schedule.questions.open.len() + schedule.questions.put.len() <= MAX_QUESTIONS);
    }
}
