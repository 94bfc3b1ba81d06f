//! Every change is completely there or completely absent, exactly once in each log, whatever fails at
//! whatever step; and nothing stays locked.

use std::time::Duration;

use cinclus_rpc::{Ddl, DdlDone, DdlError};

use crate::faults::Fault;
use crate::samples::{self, Scenario, scenarios};
use crate::world::{Digest, Process, World};

/// What a scenario leads from and to when nothing fails.
struct Expected {
    before: Digest,
    after: Digest,
}

async fn set_up(world: &World, scenario: &Scenario) -> Process {
    let process = world.start().await;
    for ddl in &scenario.setup {
        process.ddl(ddl).await.unwrap();
    }
    world.node.all_forgotten().await;
    process
}

async fn expected(scenario: &Scenario) -> Expected {
    let world = World::new();
    let process = set_up(&world, scenario).await;
    let before = process.digest();
    process.ddl(&scenario.ddl).await.unwrap();
    let after = process.digest();
    process.kill().await;
    Expected { before, after }
}

/// Makes the change with a fault after `skip` operations. `None`: the process died.
async fn attempt(world: &World, process: &Process, ddl: &Ddl) -> Option<Result<DdlDone, DdlError>> {
    let whole = async {
        let done = process.ddl(ddl).await;
        if done.is_ok() {
            world.node.all_forgotten().await;
        }
        done
    };
    tokio::select! {
        biased;
        () = world.faults.crashed() => None,
        done = whole => Some(done),
    }
}

/// Checks logs and catalog against each other, and says whether the change is there.
fn check(world: &World, process: &Process, known: usize, expected: &Expected, what: &str) -> bool {
    let broadcasts = world.broadcasts();
    assert!(broadcasts.len() <= known + 1, "{what}: more than one broadcast");
    for (having, targets, _) in broadcasts.values() {
        // Invariant C2.
        assert_eq!(having, targets, "{what}: each target has it once");
    }
    let there = broadcasts.len() > known;
    let right = if there { &expected.after } else { &expected.before };
    assert_eq!(&process.digest(), right, "{what}: the catalog agrees with the logs");
    if there {
        let tick = broadcasts.values().map(|(_, _, tick)| *tick).max();
        let view = process.collections.view();
        let newest = view.all_collections().map(|entry| entry.updated).max();
        assert!(newest.is_none_or(|newest| Some(newest) <= tick), "{what}: ticks come from the logs");
    }
    there
}

/// Other changes of the same names come through.
async fn check_locks(process: &Process, what: &str) {
    for database in ["default", "other"] {
        process.ddl(&samples::drop_alias(database, "nobody")).await.ok();
        let create = process.ddl(&samples::create_in(database, "afterwards", 1)).await;
        let missing = DdlError::DatabaseNotFound("other".to_owned());
        assert!(create.is_ok() || create == Err(missing), "{what}: {create:?}");
    }
    process.ddl(&samples::create_database("afterwards")).await.unwrap_or_else(|e| panic!("{what}: {e}"));
}

#[tokio::test(start_paused = true)]
async fn every_change_rolls_forward_after_a_crash_at_any_step() {
    for scenario in scenarios() {
        let expected = expected(&scenario).await;
        assert!(expected.before != expected.after || scenario.name.contains("to what it is"));
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let mut outcomes = Vec::new();
            for skip in 0.. {
                let what = format!("{}, {fault:?} at {skip}", scenario.name);
                let world = World::new();
                let process = set_up(&world, &scenario).await;
                let known = world.broadcasts().len();
                world.faults.arm(skip, fault);
                let told = attempt(&world, &process, &scenario.ddl).await;
                let struck = world.faults.struck();
                process.kill().await;
                world.faults.disarm();

                let process = world.start().await;
                let seen_at_once = process.digest();
                world.settled().await;
                let there = check(&world, &process, known, &expected, &what);
                assert_eq!(seen_at_once, process.digest(), "{what}: nobody sees it come after the start");
                assert!(there || told.is_none(), "{what}: what was answered is there");
                check_locks(&process, &what).await;
                process.kill().await;
                outcomes.push(there);
                if !struck {
                    break;
                }
            }
            // Absent up to the step that begins it, then there for good.
            assert!(outcomes.is_sorted(), "{}: {outcomes:?}", scenario.name);
            assert!(outcomes.len() > 3, "{}: {outcomes:?}", scenario.name);
            assert_eq!(outcomes[0], fault == Fault::CrashAfter, "{}: {outcomes:?}", scenario.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_survives_a_second_crash_while_it_is_carried_through() {
    let wanted = ["create collection", "move collection", "drop collection"];
    for scenario in scenarios().into_iter().filter(|scenario| wanted.contains(&scenario.name)) {
        let expected = expected(&scenario).await;
        for first in [1, 3] {
            for second in 0.. {
                let what = format!("{}, crashes at {first} and {second}", scenario.name);
                let world = World::new();
                let process = set_up(&world, &scenario).await;
                let known = world.broadcasts().len();
                world.faults.arm(first, Fault::CrashAfter);
                assert_eq!(attempt(&world, &process, &scenario.ddl).await, None);
                process.kill().await;
                world.faults.disarm();

                world.faults.arm(second, Fault::CrashAfter);
                if let Some(process) = world.start_or_crash().await {
                    let forgotten = async {
                        world.settled().await;
                        world.node.all_forgotten().await;
                    };
                    tokio::select! {
                        biased;
                        () = world.faults.crashed() => {}
                        () = forgotten => {}
                    }
                    process.kill().await;
                }
                let struck = world.faults.struck();
                world.faults.disarm();
                let process = world.start().await;
                world.settled().await;
                assert!(check(&world, &process, known, &expected, &what), "{what}");
                check_locks(&process, &what).await;
                process.kill().await;
                if !struck {
                    assert!(second > 10, "{what}");
                    break;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_refusals_leave_no_doubt() {
    for scenario in scenarios() {
        let expected = expected(&scenario).await;
        for fault in [Fault::LostBefore, Fault::LostAfter, Fault::Refused] {
            for skip in 0.. {
                let what = format!("{}, {fault:?} at {skip}", scenario.name);
                let world = World::new();
                let process = set_up(&world, &scenario).await;
                let known = world.broadcasts().len();
                world.faults.arm(skip, fault);
                let told = process.ddl(&scenario.ddl).await;
                let struck = world.faults.struck();
                world.faults.disarm();
                assert_eq!(
                    told.is_ok(),
                    check(&world, &process, known, &expected, &what),
                    "{what}: {told:?}"
                );
                // Only a refusal of the first step, the task's beginning, reaches the caller.
                assert_eq!(told.is_err(), fault == Fault::Refused && skip == 0, "{what}: {told:?}");
                world.settled().await;
                check_locks(&process, &what).await;
                process.kill().await;
                if !struck {
                    break;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_is_taken_up_late_brings_nothing_back() {
    for scenario in scenarios() {
        let expected = expected(&scenario).await;
        let mut delivered = 0;
        for skip in 0.. {
            let what = format!("{}, late at {skip}", scenario.name);
            let world = World::new();
            let process = set_up(&world, &scenario).await;
            let known = world.broadcasts().len();
            world.faults.arm(skip, Fault::Late);
            process.ddl(&scenario.ddl).await.unwrap();
            // Time passes when nothing is left to do.
            world.env.clock.sleep(Duration::from_secs(60)).await;
            let struck = world.faults.struck();
            world.faults.disarm();
            delivered += usize::from(world.faults.deliver_late(&world.durable).await);
            process.kill().await;
            let process = world.start().await;
            world.settled().await;
            assert!(check(&world, &process, known, &expected, &what), "{what}");
            process.kill().await;
            if !struck {
                break;
            }
        }
        // The beginning and the end of the task.
        assert!(delivered >= 2, "{}: {delivered}", scenario.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_made_again_after_a_restart_is_the_same_change() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    let id = process.collections.view().all_collections().next().unwrap().id;
    process.kill().await;
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    assert_eq!(process.collections.view().all_collections().next().unwrap().id, id);
    assert_eq!(world.broadcasts().len(), 1);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn logs_forget_a_broadcast_when_its_task_is_gone_and_not_before() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    world.node.all_forgotten().await;
    let log = world.faults.log();
    let at = |text: &str| log.iter().position(|line| line.contains(text)).unwrap();
    let gone = at("Delete(\"coord/broadcast/");
    assert!(at("append") < gone && gone < at("forget"), "{log:#?}");
    assert_eq!(log.iter().filter(|line| line.starts_with("forget")).count(), 2);
    process.kill().await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_one_name_come_one_after_the_other_and_all_of_them() {
    let world = World::new();
    let process = world.start().await;
    process.ddl(&samples::create("books")).await.unwrap();
    let partitions: Vec<String> = (0..20).map(|index| format!("p{index}")).collect();
    let ddls: Vec<Ddl> = partitions.iter().map(|name| samples::create_partition("books", name)).collect();
    let done = futures::future::join_all(ddls.iter().map(|ddl| process.ddl(ddl))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let view = process.collections.view();
    let entry = view.all_collections().next().unwrap();
    assert!(partitions.iter().all(|name| entry.partition(name).is_some()));
    process.kill().await;
}
