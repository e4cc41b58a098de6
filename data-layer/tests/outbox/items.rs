//! What happens to items, summed up and tailed.

use super::*;

/// Adds numbers up: how many there were, and their sum.
struct Numbers;

impl Sum for Numbers {
    fn id(&self, _: &Packed<'_>) -> Option<u64> {
        None
    }

    fn sum(&mut self, records: &[Arrived<'_>]) -> Result<Vec<(u8, Vec<u8>)>> {
        let numbers =
            records.iter().map(|arrived| u64::from_le_bytes(arrived.record.payload.try_into().unwrap()));
        let (count, sum) = numbers.fold((0_u64, 0_u64), |(count, sum), number| (count + 1, sum + number));
        Ok(vec![(2, [count.to_le_bytes(), sum.to_le_bytes()].concat())])
    }
}

/// Reads the item stream until nothing more comes that is missing: how many numbers, their sum, and how many messages that were.
fn tailed(tail: &mut Tail, runtime: &Runtime, count: u64) -> (u64, u64, u64) {
    let mut all = (0, 0, 0);
    wait_until("not all that happened to items was sent on", || {
        let Ok(Tailed::Came(deltas)) = runtime.block_on(tail.read()) else { return false };
        tail.take();
        for delta in deltas {
            let (of, sum) = delta.payload.split_at(8);
            let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
            all = (all.0 + number(of), all.1 + number(sum), all.2 + 1);
        }
        all.0 >= count
    });
    all
}

#[test]
fn what_happens_to_items_reaches_every_server_once_and_in_fewer_messages() {
    let Some(mut server) = Redis::start() else { return not_run("redis-server") };
    let options = Options { timeout: Duration::from_millis(400), ..Options::of(&server.url()) };
    let (folder, runtime) = (tempfile::tempdir().unwrap(), runtime());
    let on = partitions(&options, &runtime);
    let gatherers = ["x", "y"].map(|name| {
        let member = Member::new(on.link().clone(), "main", Lane::Items, name, 1000);
        Owner::new(on.clone(), member, 1000, Gather(Numbers))
    });
    let overlooks = [gatherers[0].overlook(), gatherers[1].overlook()];
    let mut early = Tail::new(on.clone(), Tail::beginning()).unwrap();
    std::thread::scope(|scope| {
        let _stop = AtEnd(|| overlooks.iter().for_each(|overlook| overlook.stop()));
        for gatherer in gatherers {
            let handle = runtime.handle().clone();
            scope.spawn(move || gatherer.run(&handle));
        }
        working(&options, &["a", "b"], |_| {
            forwarding(&options, Log::new(1, 3000), folder.path(), |len| {
                std::thread::sleep(Duration::from_millis(300));
                server.kill();
                len.fetch_add(3000, Ordering::Release);
                server.revive();
                std::thread::sleep(Duration::from_millis(300));
                len.fetch_add(4000, Ordering::Release);
            });
            let (count, sum, messages) = tailed(&mut early, &runtime, 10_000);
            assert_eq!((count, sum), (10_000, 10_000 * 10_001 / 2));
            assert!(messages < 10_000, "{messages} messages");
            // A server that comes later learns the same, and one that stands there nothing more.
            let mut late = Tail::new(on.clone(), Tail::beginning()).unwrap();
            assert_eq!(tailed(&mut late, &runtime, 10_000), (count, sum, messages));
            let mut there = Tail::new(on.clone(), late.at().to_vec()).unwrap();
            assert_eq!(runtime.block_on(there.read()).unwrap(), Tailed::Came(Vec::new()));
            // Other messages than those that were read, and fewer, are noticed.
            let mut other = late.at().to_vec();
            (other[3].ms, other[3].number) = (other[3].ms - 1, other[3].number ^ 1);
            let mut ahead = late.at().to_vec();
            ahead[3].ms += 1;
            for at in [other, ahead] {
                let mut lost = Tail::new(on.clone(), at).unwrap();
                assert_eq!(runtime.block_on(lost.read()).unwrap(), Tailed::Lost);
            }
            // Behind a snapshot that nobody holds any more, it is said and not passed over.
            let place = Place { lane: Lane::Items, partition: 5 };
            let last = StreamId { ms: late.at()[5].ms, number: 0 };
            runtime.block_on(on.trim(Which::Out, place, last)).unwrap();
            let mut old = Tail::new(on.clone(), Tail::beginning()).unwrap();
            assert_eq!(runtime.block_on(old.read()).unwrap(), Tailed::Trimmed);
            what_snapshots_need_stays(&on, &runtime, late.at());
        });
        overlooks.iter().for_each(|overlook| overlook.stop());
    });
}

/// `end` is where the streams end.
fn what_snapshots_need_stays(on: &Partitions, runtime: &Runtime, end: &[StreamId]) {
    let fits = |at: &[StreamId]| {
        let reach = runtime.block_on(on.reach(at)).unwrap();
        reach.iter().zip(at).map(|(reach, at)| reach.fit(*at)).collect::<Vec<_>>()
    };
    let before: Vec<Fit> = fits(&Tail::beginning());
    assert_eq!((before[5], before[4]), (Fit::Later, Fit::Next));
    assert!(fits(end).iter().all(|fit| *fit == Fit::Next));
    // Another stream than the one that is meant is not touched.
    let other: Vec<StreamId> = end.iter().map(|at| StreamId { number: at.number ^ 1, ..*at }).collect();
    assert!(fits(&other).iter().all(|fit| *fit == Fit::Other));
    assert_eq!(runtime.block_on(on.trim_items(&other)).unwrap(), 0);
    // Whoever names such a one needs all, and so does who stands at the beginning.
    for at in [other, Tail::beginning()] {
        runtime.block_on(on.hold_items("x", &at, 60_000)).unwrap();
        assert_eq!(runtime.block_on(on.trim_items(end)).unwrap(), 0);
    }
    runtime.block_on(on.hold_items("x", end, 60_000)).unwrap();
    assert!(runtime.block_on(on.trim_items(end)).unwrap() > 0);
    // By the last message that is in a snapshot it is known that the stream goes on from there.
    let reach = runtime.block_on(on.reach(end)).unwrap();
    assert!(reach.iter().zip(end).all(|(reach, at)| reach.first() == Some(*at) && reach.last() == *at));
    assert!(fits(&Tail::beginning()).iter().all(|fit| *fit != Fit::Other));
}
