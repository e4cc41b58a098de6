//! What every store of people must do, whatever is behind it. A store's own tests call [`suite`] with a way to make an empty one
//! that knows the default actions.

#[cfg(test)]
pub use laws::suite;

#[cfg(test)]
mod laws {
    use std::sync::Arc;

    use futures::FutureExt;
    use futures::executor::block_on;

    use crate::config::{ActionId, Actions};
    use crate::live::merge::Stamp;
    use crate::live::people::{Effect, EmbeddedPeople, People, PeopleBatch};
    use crate::live::user::{Acted, Field, MOST_ACTIONS, Shown, UserState};
    use crate::types::{Id, Millis, Person, Value};

    /// Runs every law on fresh stores.
    pub fn suite<P: People>(make: impl Fn() -> P) {
        unknown_people_are_absent_and_answers_keep_the_order_of_asking(&make());
        effects_and_position_go_in_together_or_not_at_all(&make());
        partitions_have_positions_of_their_own(&make());
        recent_actions_are_newest_first_and_bounded(&make());
        what_is_undone_never_was(&make());
        attributes_merge_by_time_then_value(&make());
        people_merge_and_are_forgotten(&make());
        a_state_that_was_read_does_not_change(&make());
    }

    #[test]
    fn embedded_people_keep_the_contract() {
        suite(|| EmbeddedPeople::new(Arc::new(Actions::default())));
    }

    fn user(id: &str) -> Person {
        Person::user(Id::new(id).unwrap())
    }

    fn action(name: &str) -> ActionId {
        Actions::default().id(name).unwrap()
    }

    fn acted(item: u32, name: &str, time: Millis, key: u64) -> Acted {
        Acted { item, action: action(name), value: 1.0, time, key }
    }

    fn batch(store: &impl People, who: &Person, effects: Vec<Effect>) -> PeopleBatch {
        let partition = who.partition();
        let expected = store.position(partition);
        let effects = effects.into_iter().map(|e| (who.clone(), e)).collect();
        PeopleBatch { partition, expected, next: expected + 1, effects }
    }

    fn commit(store: &impl People, who: &Person, effects: Vec<Effect>) {
        store.commit(batch(store, who, effects)).unwrap();
    }

    fn read(store: &impl People, who: &Person) -> Option<Arc<UserState>> {
        block_on(store.read(std::slice::from_ref(who))).unwrap().pop().flatten()
    }

    fn unknown_people_are_absent_and_answers_keep_the_order_of_asking(store: &impl People) {
        let asked: Vec<Person> = ["b", "x", "a", "b"].map(user).into();
        commit(store, &asked[0], vec![Effect::Act(acted(1, "click", 5, 1))]);
        commit(store, &asked[2], vec![Effect::Act(acted(2, "click", 5, 2))]);
        let states = block_on(store.read(&asked)).unwrap();
        let items: Vec<_> = states.iter().map(|s| s.as_ref().map(|s| s.actions[0].item)).collect();
        assert_eq!(items, [Some(1), None, Some(2), Some(1)]);
        assert!(block_on(store.read(&[])).unwrap().is_empty());
        let same_id = Person::anonymous(Id::new("b").unwrap());
        assert!(read(store, &same_id).is_none());
    }

    fn effects_and_position_go_in_together_or_not_at_all(store: &impl People) {
        let who = user("u");
        let good = batch(store, &who, vec![Effect::Act(acted(1, "click", 5, 1))]);
        store.commit(good.clone()).unwrap();
        assert_eq!(store.position(who.partition()), good.next);
        // The same batch again, one from the future, and one that does not move.
        let future = PeopleBatch { expected: 7, next: 8, ..good.clone() };
        let still = PeopleBatch { expected: 1, next: 1, ..good.clone() };
        for refused in [good.clone(), future, still] {
            assert!(store.commit(refused).is_err());
        }
        let strange =
            (0..).map(|n| user(&format!("s{n}"))).find(|p| p.partition() != who.partition()).unwrap();
        let mut stray = batch(store, &who, vec![Effect::Act(acted(2, "click", 6, 2))]);
        stray.effects.push((strange, Effect::Forget));
        assert!(store.commit(stray).is_err());
        assert_eq!(store.position(who.partition()), good.next);
        assert_eq!(read(store, &who).unwrap().actions.len(), 1);
    }

    fn partitions_have_positions_of_their_own(store: &impl People) {
        let (a, b) = (user("a"), user("b"));
        assert_ne!(a.partition(), b.partition());
        commit(store, &a, Vec::new());
        commit(store, &a, Vec::new());
        assert_eq!((store.position(a.partition()), store.position(b.partition())), (2, 0));
    }

    fn recent_actions_are_newest_first_and_bounded(store: &impl People) {
        let who = user("u");
        let times = (0..MOST_ACTIONS as i64 + 10).map(|n| (n * 7919) % 1009);
        let acts = times.zip(0u64..).map(|(time, key)| Effect::Act(acted(key as u32, "view", time, key)));
        commit(store, &who, acts.collect());
        let state = read(store, &who).unwrap();
        assert_eq!(state.actions.len(), MOST_ACTIONS);
        assert!(state.actions.windows(2).all(|w| (w[0].time, w[0].key) > (w[1].time, w[1].key)));
        assert_eq!(state.met.len(), MOST_ACTIONS + 10);
    }

    fn what_is_undone_never_was(store: &impl People) {
        let who = user("u");
        let did = |a: Acted| [Effect::Act(a), Effect::Count { action: a.action, value: 1.0, time: a.time }];
        let undid =
            |a: Acted| [Effect::Undo(a), Effect::Uncount { action: a.action, value: 1.0, time: a.time }];
        let (first, second) = (acted(1, "click", 10, 1), acted(1, "click", 20, 2));
        let dislike = acted(2, "dislike", 15, 3);
        commit(store, &who, [did(first), did(second), did(dislike)].concat());
        let state = read(store, &who).unwrap();
        assert!(state.has_met(1, 20) && !state.has_met(1, 21) && !state.has_met(2, Millis::MIN));
        assert_eq!(state.counters.total(action("click")), 2);
        commit(store, &who, undid(second).into());
        let state = read(store, &who).unwrap();
        assert!(state.has_met(1, 10) && !state.has_met(1, 11));
        commit(store, &who, [undid(first), undid(dislike)].concat());
        let state = read(store, &who).unwrap();
        assert!(state.actions.is_empty() && state.met.is_empty());
        assert_eq!(state.counters.all(), 0);
    }

    fn attributes_merge_by_time_then_value(store: &impl People) {
        let who = user("u");
        let say = |time: Millis, value: Option<&str>| {
            let present = value.is_some();
            let value = value.map(|v| Value::String(v.into()));
            let stamp = Stamp { present, ..Stamp::new(time, None) };
            Effect::Set { name: "city".into(), field: Field { value, stamp } }
        };
        let city = || read(store, &who).unwrap().attribute("city").cloned();
        commit(store, &who, vec![say(5, Some("b")), say(4, Some("z")), say(5, Some("a")), say(5, None)]);
        assert_eq!(city(), Some(Value::String("b".into())));
        commit(store, &who, vec![say(6, None), say(5, Some("z"))]);
        assert_eq!(city(), None);
        assert!(read(store, &who).unwrap().personalize());
    }

    fn people_merge_and_are_forgotten(store: &impl People) {
        let (who, whole) = (user("u"), user("w"));
        let guest = Person::anonymous(Id::new("g").unwrap());
        let one = vec![Effect::Act(acted(1, "click", 10, 1)), Effect::See(vec![Shown { item: 3, time: 9 }])];
        let two = vec![
            Effect::Act(acted(1, "like", 5, 2)),
            Effect::Count { action: action("like"), value: 1.0, time: 5 },
        ];
        commit(store, &who, one.clone());
        commit(store, &guest, two.clone());
        commit(store, &whole, [one, two].concat());
        let state = read(store, &guest).unwrap();
        commit(store, &who, vec![Effect::Merge(state)]);
        commit(store, &guest, vec![Effect::Forget]);
        assert_eq!(read(store, &who), read(store, &whole));
        assert!(read(store, &guest).is_none());
    }

    fn a_state_that_was_read_does_not_change(store: &impl People) {
        let who = user("u");
        commit(store, &who, vec![Effect::Act(acted(1, "click", 10, 1))]);
        let before = read(store, &who).unwrap();
        commit(store, &who, vec![Effect::Act(acted(2, "click", 11, 2))]);
        assert_eq!((before.actions.len(), read(store, &who).unwrap().actions.len()), (1, 2));
        assert!(store.read(&[]).now_or_never().is_some());
    }
}
