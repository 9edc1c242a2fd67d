"""The checker finds each fault, in histories made by hand, and none where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.soak.checker import check
from tests.soak.history import Asked, Gap, History, Subscriber, Welcome

A, B = 0, 1
KINDS = [("a", "notice"), ("b", "notice")]
EPOCH, LATER = 1_000, 2_000
ONLY_A = Asked(topics=("a",))


class Story:
    """A history that is told step by step. The token of the n-th event is n - 1, and its seq n."""

    def __init__(self) -> None:
        self.history = History(KINDS)

    def publish(self, *kinds: int, epoch: int = EPOCH, first: int | None = None) -> range:
        """One POST that is acknowledged, with ids from `first` on."""
        published = self.history.published
        tokens = published.intend(0, kinds)
        first = tokens.start + 1 if first is None else first
        published.acknowledged(tokens, [(epoch, first + i) for i in range(len(kinds))])
        return tokens

    def subscribe(self, asked: Asked = Asked(), at: int = 0) -> Subscriber:  # noqa: B008 - frozen
        """A subscriber that is welcomed at the head, which is `at`."""
        subscriber = self.history.subscriber("somebody", asked)
        subscriber.connect()
        subscriber.welcomed(Welcome((EPOCH, at)))
        return subscriber


def receive(subscriber: Subscriber, *seqs: int, epoch: int = EPOCH, token: int = -1) -> None:
    """Events come, with the token that goes with the seq, or with `token`."""
    subscriber.received(epoch, [(seq, seq - 1 if token < 0 else token) for seq in seqs])


def resume(
    subscriber: Subscriber, at: int, gap: Gap | None = None, epoch: int = EPOCH, told: bool = True
) -> None:
    """It comes back, and is welcomed at `at`; the gap itself comes if `told`."""
    subscriber.connect()
    missed = gap.missed if gap else 0
    subscriber.welcomed(Welcome((epoch, at), resumed=True, replayed=None, missed=missed))
    if gap and told:
        subscriber.told(gap)


def evicted(requested: int, floor: int, missed: int | None) -> Gap:
    return Gap("evicted", (EPOCH, requested), (EPOCH, floor + 1), missed)


def restart(requested: int, floor: int = 0) -> Gap:
    return Gap("restart", (EPOCH, requested), (LATER, floor + 1), None)


def faultless() -> Story:
    """A bit of everything, and all of it right."""
    story = Story()
    everything, only_a = story.subscribe(), story.subscribe(ONLY_A)
    nobody = story.subscribe(Asked(topics=("c*",)))
    story.publish(A)
    story.publish(B, A, A, B, B, A, A)  # seqs 2 to 8
    receive(everything, 1, 2)
    resume(everything, 2)
    receive(everything, 3)
    resume(everything, 6, evicted(3, 6, 3))
    receive(everything, 7, 8)
    receive(only_a, 1, 3)
    resume(only_a, 5, evicted(3, 5, None), told=False)  # cut between `connection` and `gap`
    receive(only_a, 7)
    resume(nobody, 0)
    story.publish(A, B, epoch=LATER, first=1)  # tokens 8 and 9
    for subscriber in everything, only_a:
        cursor = subscriber.seqs[-1]
        resume(subscriber, 0, restart(cursor), LATER)
        receive(subscriber, 1, epoch=LATER, token=8)
    receive(everything, 2, epoch=LATER, token=9)
    resume(nobody, 0, Gap("restart", (EPOCH, 0), None, None), LATER)
    story.history.end = LATER, 2
    return story


def test_finds_nothing_wrong_with_a_history_without_fault() -> None:
    assert check(faultless().history) == []


def test_takes_unknown_outcomes_once_or_never() -> None:
    story = Story()
    subscriber = story.subscribe()
    story.publish(A)
    story.history.published.intend(0, [A, B])  # seqs 2 and 3, as it turns out
    story.history.published.intend(0, [A])  # not published at all
    story.publish(A, first=4)
    receive(subscriber, 1, 2, 3)
    receive(subscriber, 4, token=4)
    assert check(story.history) == []


def test_takes_a_gap_for_true_if_only_an_event_that_nobody_knows_can_be_missing() -> None:
    story = Story()
    subscriber = story.subscribe(ONLY_A)
    story.publish(A)
    story.history.published.intend(0, [A])  # seq 2: nobody received it
    story.publish(B)
    receive(subscriber, 1)
    resume(subscriber, 2, evicted(1, 2, None))
    assert check(story.history) == []


def lose(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 2, 4)


def repeat(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 2, 2, 3)


def swap(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 3, 2, 4)


def repeat_after_a_resume(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 2)
    resume(subscriber, 2)
    receive(subscriber, 2, 3)


def lose_over_a_resume(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 2)
    resume(subscriber, 2)
    receive(subscriber, 4)


def lose_the_first(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 2, 3)


def lose_the_last(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 2, 3)
    story.history.end = EPOCH, 4


def go_on_elsewhere(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3)
    receive(subscriber, 4)


def invent(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, 2, 3, 4)
    receive(subscriber, 5, token=77)


def swap_contents(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, token=1)
    receive(subscriber, 2, token=0)


def deliver_what_was_refused(story: Story, subscriber: Subscriber) -> None:
    story.history.published.refused(story.history.published.intend(0, [A]))
    receive(subscriber, 1, 2, 3, 4, 5)


def publish_twice_what_is_unknown(story: Story, subscriber: Subscriber) -> None:
    story.history.published.intend(0, [A, A])
    receive(subscriber, 1, 2, 3, 4)
    receive(subscriber, 5, token=4)
    receive(subscriber, 6, token=4)


def give_an_id_twice(story: Story, subscriber: Subscriber) -> None:
    story.publish(A, first=5)
    tokens = story.history.published.intend(1, [B])
    story.history.published.acknowledged(tokens, [(EPOCH, 5)])


def give_falling_ids(story: Story, subscriber: Subscriber) -> None:
    story.publish(A, first=6)
    story.publish(A, first=5)


def leave_out_an_id(story: Story, subscriber: Subscriber) -> None:
    story.publish(A, first=5)
    story.publish(A, first=7)
    story.publish(A, first=8)


def give_an_id_far_ahead(story: Story, subscriber: Subscriber) -> None:
    story.publish(A, first=1_000_000_000)


def miscount(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3, evicted(1, 3, 3))


def not_count(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3, evicted(1, 3, None))


def name_another_oldest(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3, replace(evicted(1, 3, 2), oldest=(EPOCH, 3)))


def name_another_requested(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3, replace(evicted(1, 3, 2), requested=(EPOCH, 2)))


def lose_beyond_the_gap(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 2, evicted(1, 2, 1))
    receive(subscriber, 4)


def not_know_an_id(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3, replace(evicted(1, 3, 2), reason="unknown"))


def deny_the_gap(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 1, evicted(1, 3, 0))


def tell_a_newcomer_of_a_gap(story: Story, subscriber: Subscriber) -> None:
    subscriber.told(evicted(0, 0, 0))


def forget_that_it_resumes(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    subscriber.connect()
    subscriber.welcomed(Welcome((EPOCH, 1), resumed=False))


def replay_to_a_newcomer(story: Story, subscriber: Subscriber) -> None:
    subscriber.welcomed(Welcome((EPOCH, 4), replayed=1))


def replay_too_little(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    subscriber.connect(newest=(EPOCH, 4))
    subscriber.welcomed(Welcome((EPOCH, 1), resumed=True, replayed=2))


def replay_too_much(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    subscriber.connect()
    subscriber.welcomed(Welcome((EPOCH, 1), resumed=True, replayed=4))


def restart_in_silence(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 0, epoch=LATER)


def restart_into_the_past(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 0, Gap("restart", (EPOCH, 1), (EPOCH - 500, 1), None), EPOCH - 500)


def restart_and_lose(story: Story, subscriber: Subscriber) -> None:
    story.publish(A, B, epoch=LATER, first=1)
    receive(subscriber, 1, 2, 3, 4)
    resume(subscriber, 0, restart(4), LATER)
    receive(subscriber, 2, epoch=LATER, token=5)


def restart_within_an_epoch(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 3, Gap("restart", (EPOCH, 1), (EPOCH, 4), None))


def restart_with_another_oldest(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1)
    resume(subscriber, 0, restart(1, floor=2), LATER)


def send_before_the_welcome(story: Story, subscriber: Subscriber) -> None:
    subscriber.connect()
    receive(subscriber, 1)


def welcome_twice(story: Story, subscriber: Subscriber) -> None:
    subscriber.welcomed(Welcome((EPOCH, 0)))


def change_the_epoch_within_a_connection(story: Story, subscriber: Subscriber) -> None:
    receive(subscriber, 1, epoch=LATER)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (lose, "1 lost"),
        (repeat, "out of order or repeated"),
        (swap, "out of order or repeated"),
        (repeat_after_a_resume, "1 not asked for"),
        (lose_over_a_resume, "1 lost"),
        (lose_the_first, "1 lost"),
        (lose_the_last, "never came"),
        (go_on_elsewhere, "no gap is told"),
        (invent, "published by nobody"),
        (swap_contents, "not the id that its publisher was told"),
        (deliver_what_was_refused, "was refused, and received"),
        (publish_twice_what_is_unknown, "are one event"),
        (give_an_id_twice, "is the id of two events"),
        (give_falling_ids, "after"),
        (leave_out_an_id, "1 ids are of no event, and 0 may be"),
        (give_an_id_far_ahead, "events are known"),
        (miscount, "`missed` is wrong"),
        (not_count, "`missed` is wrong"),
        (name_another_oldest, "`oldest` is not where it goes on"),
        (name_another_requested, "the gap is not the welcome's"),
        (lose_beyond_the_gap, "1 lost"),
        (not_know_an_id, "the reason is wrong"),
        (deny_the_gap, "a gap is told and denied"),
        (tell_a_newcomer_of_a_gap, "a gap is told and denied"),
        (forget_that_it_resumes, "`resumed` is wrong"),
        (replay_to_a_newcomer, "a newcomer gets a replay"),
        (replay_too_little, "it replays less than there is"),
        (replay_too_much, "it replays more than there is"),
        (restart_in_silence, "no gap is told"),
        (restart_into_the_past, "no restart can be so"),
        (restart_and_lose, "1 lost"),
        (restart_within_an_epoch, "the reason is wrong"),
        (restart_with_another_oldest, "`oldest` is not where it goes on"),
        (send_before_the_welcome, "an event without a welcome"),
        (welcome_twice, "a second welcome"),
        (change_the_epoch_within_a_connection, "unlike the welcome"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_finds_a_fault(fault: Callable[[Story, Subscriber], None], found: str) -> None:
    story = Story()
    subscriber = story.subscribe()
    story.publish(A, A, B, B)
    fault(story, subscriber)
    assert any(found in each for each in check(story.history)), check(story.history)


def test_finds_an_event_that_the_filter_does_not_let_through() -> None:
    story = Story()
    subscriber = story.subscribe(ONLY_A)
    story.publish(A, B, A)
    receive(subscriber, 1, 2, 3)
    (fault,) = check(story.history)
    assert "1 not asked for" in fault


def test_finds_a_gap_told_to_a_filter_that_missed_nothing() -> None:
    story = Story()
    subscriber = story.subscribe(ONLY_A)
    story.publish(A, B, B, A)
    receive(subscriber, 1)
    resume(subscriber, 3, evicted(1, 3, None))
    (fault,) = check(story.history)
    assert "nothing is missing, and a gap is told" in fault


def test_finds_a_loss_that_another_subscriber_shows() -> None:
    story = Story()
    one, other = story.subscribe(), story.subscribe()
    story.publish(A)
    story.history.published.intend(0, [A])  # unknown to its publisher, and received by one
    story.publish(A)
    receive(one, 1, 2, 3)
    receive(other, 1, 3)
    (fault,) = check(story.history)
    assert "1 lost" in fault


@pytest.mark.parametrize(
    ("received", "missed", "found"),
    [
        ((5, 8, 10), 6, ""),  # 2 newest on the topic of A stay, and from 10 on all is kept
        ((5, 8), 6, ""),  # cut before it is known
        ((8, 10), 6, "5 is lost, and is one of the newest on a"),
        ((5, 10), 6, "8 is lost, and is one of the newest on a"),
        ((5, 8, 10), 4, "`missed` is wrong: 6"),
        ((5, 6, 8, 10), 4, "9 is lost behind 6"),
        ((8, 5, 10), 6, "out of order"),
        ((5, 5, 8, 10), 6, "repeated"),
    ],
)
def test_holds_what_stays_against_what_comes_behind_a_gap(
    received: tuple[int, ...], missed: int, found: str
) -> None:
    story = Story()
    story.history.keep_newest = {"a": 2}
    subscriber = story.subscribe()
    story.publish(A, B, A, B, A, B, B, A, B, B)
    receive(subscriber, 1)
    resume(subscriber, received[0] - 1, evicted(1, 4, missed))
    receive(subscriber, *received)
    faults = check(story.history)
    assert len(faults) == bool(found), faults
    assert found in "".join(faults)
