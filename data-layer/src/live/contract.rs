//! What every store of people must do, whatever is behind it. A store's own tests call [`suite`] with a way to make an empty one
//! that knows the default actions and bounds.

#[cfg(test)]
pub use laws::{Subject, suite};

#[cfg(test)]
mod laws {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use futures::executor::block_on;

    use crate::config::{Actions, Keep};
    use crate::live::{Items, Live, Side, UserState, codec};
    use crate::types::event::{Edge, Erase, Identify, Impression, Retraction, Seen, UserEvent};
    use crate::types::{Event, Id, Interaction, Millis, Person, Record, Schema, Value};

    /// A store under test: takes records in order of their sequence, and is read.
    pub trait Subject {
        /// Applies records; once it returns, they can be read.
        fn apply(&self, records: &[Record]);
        /// Reads people, in order of asking.
        fn read(&self, who: &[Person]) -> Vec<Option<Arc<UserState>>>;
        /// The live side whose ordinals the states hold.
        fn live(&self) -> &Live;
    }

    impl Subject for Live {
        fn apply(&self, records: &[Record]) {
            Self::apply(self, records).unwrap();
        }
        fn read(&self, who: &[Person]) -> Vec<Option<Arc<UserState>>> {
            block_on(self.people().read(who)).unwrap()
        }
        fn live(&self) -> &Live {
            self
        }
    }

    /// Runs every law on fresh stores.
    pub fn suite<S: Subject>(make: impl Fn() -> S) {
        unknown_people_are_absent_and_answers_keep_the_order_of_asking(&make());
        recent_actions_are_newest_first_and_bounded(&make());
        what_is_undone_never_was(&make());
        what_a_retraction_names_is_found_by_its_person(&make());
        attributes_merge_by_time_then_value(&make());
        people_merge_and_are_forgotten(&make(), &make());
        a_state_that_was_read_does_not_change(&make());
        who_wants_nothing_learnt_is_left_alone(&make());
        ties_are_kept_with_both_ends_until_one_is_erased(&make());
    }

    #[test]
    fn embedded_people_keep_the_contract() {
        suite(|| Live::new(Actions::default(), Schema::reserved()));
    }

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    /// What is known of a person, by ids: two stores number items as they meet them.
    fn known(store: &impl Subject, who: &Person) -> Option<Vec<u8>> {
        let state = read(store, who)?;
        Some(codec::encode(&state, store.live().ids(), store.live().actions()))
    }

    fn user(text: &str) -> Person {
        Person::user(id(text))
    }

    fn did(event: &str, who: &Person, item: &str, action: &str, time: Millis) -> Event {
        Event::Interaction(Interaction {
            id: Some(id(event)),
            person: who.clone(),
            item: id(item),
            action: action.to_owned(),
            value: 1.0,
            time,
            request_id: None,
            session: None,
            context: BTreeMap::new(),
        })
    }

    fn saw(who: &Person, item: &str, time: Millis) -> Event {
        let items = vec![Seen { id: id(item), position: None, visible_ms: None }];
        Event::Impression(Impression {
            id: None,
            person: who.clone(),
            scene: None,
            request_id: None,
            items,
            time,
        })
    }

    fn undo(event: &str, person: Option<&Person>) -> Event {
        Event::Retraction(Retraction { id: id(event), person: person.cloned(), time: 0 })
    }

    fn said(who: &Person, name: &str, value: Option<Value>, time: Millis) -> Event {
        let attributes = BTreeMap::from([(name.to_owned(), value)]);
        Event::User(UserEvent { person: who.clone(), time, source: None, attributes })
    }

    fn apply(store: &impl Subject, events: Vec<Event>) {
        let from = store.live().applied().sequence + 1;
        let record = |(sequence, event): (u64, Event)| {
            let partition = event.person().map_or(0, |p| p.partition());
            Record { sequence, received_ms: 0, partition, past: false, event }
        };
        store.apply(&(from..).zip(events).map(record).collect::<Vec<_>>());
    }

    fn read(store: &impl Subject, who: &Person) -> Option<Arc<UserState>> {
        store.read(std::slice::from_ref(who)).pop().flatten()
    }

    fn names(store: &impl Subject, state: &UserState) -> Vec<String> {
        let items = store.live().items();
        state.actions.iter().map(|a| items.id(a.item).to_string()).collect()
    }

    fn met(store: &impl Subject, state: &UserState, item: &str, since: Millis) -> bool {
        let items = store.live().items();
        let item = items.ordinal(item).unwrap();
        state.has_met(item, items.tie(item), since)
    }

    fn unknown_people_are_absent_and_answers_keep_the_order_of_asking(store: &impl Subject) {
        let asked: Vec<Person> = ["b", "x", "a", "b"].map(user).into();
        apply(store, vec![did("e1", &asked[0], "i1", "click", 5), did("e2", &asked[2], "i2", "click", 5)]);
        let states = store.read(&asked);
        let items: Vec<_> = states.iter().map(|s| s.as_ref().map(|s| names(store, s).concat())).collect();
        assert_eq!(items, [Some("i1".into()), None, Some("i2".into()), Some("i1".into())]);
        assert!(store.read(&[]).is_empty());
        assert!(read(store, &Person::anonymous(id("b"))).is_none());
    }

    fn recent_actions_are_newest_first_and_bounded(store: &impl Subject) {
        let (who, most) = (user("u"), Keep::default().actions);
        let times = (0..most as i64 + 10).map(|n| (n * 7919) % 1009);
        let acts = times.zip(0..).map(|(t, n)| did(&format!("e{n}"), &who, &format!("i{n}"), "view", t));
        apply(store, acts.collect());
        let state = read(store, &who).unwrap();
        assert_eq!(state.actions.len(), most);
        assert!(state.actions.windows(2).all(|w| (w[0].time, w[0].key) > (w[1].time, w[1].key)));
        assert_eq!(state.met.len(), most + 10);
    }

    fn what_is_undone_never_was(store: &impl Subject) {
        let who = user("u");
        let click = Actions::default().id("click").unwrap();
        let did = |event, item, action, time| did(event, &who, item, action, time);
        apply(
            store,
            vec![did("1", "x", "click", 10), did("2", "x", "click", 20), did("3", "y", "dislike", 15)],
        );
        let state = read(store, &who).unwrap();
        assert!(met(store, &state, "x", 20) && !met(store, &state, "x", 21) && !met(store, &state, "y", 0));
        assert_eq!(state.counters.total(click), 2);
        apply(store, vec![undo("2", None)]);
        let state = read(store, &who).unwrap();
        assert!(met(store, &state, "x", 10) && !met(store, &state, "x", 11));
        apply(store, vec![undo("1", None), undo("3", None), undo("3", None), undo("never", None)]);
        let state = read(store, &who).unwrap();
        assert!(state.actions.is_empty() && state.met.is_empty());
        assert_eq!(state.counters.all(), 0);
    }

    fn what_a_retraction_names_is_found_by_its_person(store: &impl Subject) {
        let who = user("u");
        apply(store, vec![did("1", &who, "x", "click", 10), undo("1", Some(&who)), undo("1", Some(&who))]);
        assert!(read(store, &who).unwrap().actions.is_empty());
        // Taken back before it came.
        apply(store, vec![undo("2", Some(&who)), did("2", &who, "x", "click", 10)]);
        assert!(read(store, &who).unwrap().actions.is_empty());
    }

    fn attributes_merge_by_time_then_value(store: &impl Subject) {
        let who = user("u");
        let say =
            |time, value: Option<&str>| said(&who, "city", value.map(|v| Value::String(v.into())), time);
        let city = || read(store, &who).unwrap().attribute("city").cloned();
        apply(store, vec![say(5, Some("b")), say(4, Some("z")), say(5, Some("a")), say(5, None)]);
        assert_eq!(city(), Some(Value::String("b".into())));
        apply(store, vec![say(6, None), say(5, Some("z"))]);
        assert_eq!(city(), None);
        assert!(read(store, &who).unwrap().personalize());
    }

    fn people_merge_and_are_forgotten<S: Subject>(store: &S, other: &S) {
        let (who, guest) = (user("u"), Person::anonymous(id("g")));
        let one = |who: &Person| vec![did("1", who, "a", "click", 10), saw(who, "b", 9)];
        let two = |who: &Person| {
            vec![did("2", who, "a", "like", 5), saw(who, "b", 12), did("3", who, "c", "view", 10)]
        };
        let identify = Event::Identify(Identify { anonymous: id("g"), user: id("u"), time: 20 });
        apply(store, [one(&who), two(&guest), vec![identify]].concat());
        apply(other, [one(&who), two(&who)].concat());
        assert_eq!(known(store, &who), known(other, &who));
        assert!(read(store, &guest).is_none());
        apply(store, vec![undo("2", None), undo("3", Some(&who))]);
        apply(other, vec![undo("2", None), undo("3", Some(&who))]);
        assert_eq!(known(store, &who), known(other, &who));
        apply(store, vec![Event::Erase(Erase { person: who.clone(), time: 21 })]);
        assert!(read(store, &who).is_none());
        // Later events under the id are a new person's.
        apply(store, vec![did("4", &who, "a", "click", 22), undo("1", None)]);
        assert_eq!(names(store, &read(store, &who).unwrap()), ["a"]);
    }

    fn ties_are_kept_with_both_ends_until_one_is_erased(store: &impl Subject) {
        let tie = |from: &str, to: &str, time, deleted| {
            let (from, to, relation) = (id(from), id(to), "follow".to_owned());
            Event::Edge(Edge { from, to, relation, time, source: None, deleted })
        };
        let of = |who: &str, side| {
            let state = read(store, &user(who)).unwrap();
            state.ties.of("follow", side).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        apply(store, vec![tie("a", "b", 5, false), tie("c", "b", 6, false), tie("a", "c", 7, false)]);
        assert_eq!(
            (of("a", Side::To), of("b", Side::From)),
            (vec!["c".into(), "b".into()], vec!["c".into(), "a".into()])
        );
        apply(store, vec![tie("c", "b", 8, true), tie("c", "b", 7, false)]);
        assert_eq!((of("c", Side::To), of("b", Side::From)), (vec![], vec!["a".to_owned()]));
        apply(store, vec![Event::Erase(Erase { person: user("a"), time: 9 })]);
        assert_eq!((of("b", Side::From), of("c", Side::From)), (vec![], Vec::<String>::new()));
        assert!(!read(store, &user("b")).unwrap().ties.name(&id("a")));
    }

    fn a_state_that_was_read_does_not_change(store: &impl Subject) {
        let who = user("u");
        apply(store, vec![did("1", &who, "a", "click", 10)]);
        let before = read(store, &who).unwrap();
        apply(store, vec![did("2", &who, "b", "click", 11)]);
        assert_eq!((before.actions.len(), read(store, &who).unwrap().actions.len()), (1, 2));
    }

    fn who_wants_nothing_learnt_is_left_alone(store: &impl Subject) {
        let who = user("u");
        let wish = |yes, time| said(&who, "personalize", Some(Value::Bool(yes)), time);
        apply(store, vec![wish(false, 1), did("1", &who, "a", "click", 2), saw(&who, "a", 2)]);
        let state = read(store, &who).unwrap();
        assert!(!state.personalize() && state.actions.is_empty() && state.seen.is_empty());
        apply(store, vec![wish(true, 3), did("2", &who, "b", "click", 4), undo("1", None)]);
        let state = read(store, &who).unwrap();
        assert_eq!((names(store, &state), state.counters.all()), (vec!["b".to_owned()], 1));
    }
}
