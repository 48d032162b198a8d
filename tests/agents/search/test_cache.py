"""The evaluation cache: its results are those of the network, which evaluates each position once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from agents.games import make
from agents.search import GumbelSearch
from agents.search.cache import EvaluationCache
from agents.search.dynamics import GameDynamics

CPU = torch.device("cpu")


def truth(keys: Tensor, actions: int = 3) -> tuple[Tensor, Tensor]:
    """What the network would say of positions with these keys."""
    logits = torch.sin(keys[:, None] * torch.arange(1.0, actions + 1))
    return logits, torch.cos(keys.to(torch.float32))


def ask(cache: EvaluationCache, keys: Tensor, wanted: Tensor | None = None) -> tuple[Tensor, Tensor, list[int]]:
    """Looks up, evaluates what is missing, and returns logits, values and the rows evaluated."""
    everything = torch.ones_like(keys, dtype=torch.bool)
    logits, value, missing, duplicates, duplicate_of = cache.lookup(keys, everything if wanted is None else wanted)
    new_logits, new_value = truth(keys[missing])
    cache.store(keys[missing], new_logits, new_value)
    logits[missing], value[missing] = new_logits, new_value
    logits[duplicates], value[duplicates] = logits[duplicate_of], value[duplicate_of]
    return logits, value, missing.tolist()


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def test_hits_answer_what_was_stored() -> None:
    cache = EvaluationCache(16, 3, CPU)
    keys = torch.tensor([3, 7, -5])
    assert ask(cache, keys)[2] == [0, 1, 2]
    logits, value, evaluated = ask(cache, keys.flip(0))
    assert evaluated == []
    assert torch.equal(logits, truth(keys.flip(0))[0])
    assert torch.equal(value, truth(keys.flip(0))[1])


def test_duplicates_in_a_batch_are_evaluated_once() -> None:
    keys = torch.tensor([9, 4, 9, 9, 4])
    logits, value, evaluated = ask(EvaluationCache(16, 3, CPU), keys)
    assert evaluated == [0, 1]
    assert torch.equal(logits, truth(keys)[0])
    assert torch.equal(value, truth(keys)[1])


def test_rows_not_wanted_are_neither_evaluated_nor_hide_duplicates() -> None:
    keys = torch.tensor([9, 9, 4])
    wanted = torch.tensor([False, True, False])
    logits, _, evaluated = ask(EvaluationCache(16, 3, CPU), keys, wanted)
    assert evaluated == [1]
    assert torch.equal(logits[1], truth(keys)[0][1])


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_keys_that_share_a_slot_keep_their_own_answers(slots: int) -> None:
    cache = EvaluationCache(slots, 3, CPU)
    generator = torch.Generator().manual_seed(slots)
    for _ in range(50):
        keys = torch.randint(-6, 6, (20,), generator=generator) * 3 + 1  # never -1, which marks an empty slot
        logits, value, _ = ask(cache, keys)
        assert torch.equal(logits, truth(keys)[0])
        assert torch.equal(value, truth(keys)[1])


@pytest.mark.parametrize(("positions", "actions"), [(256, 512), (20_000, 7)])
def test_an_entry_is_never_mixed_from_two_positions(positions: int, actions: int) -> None:
    # Many positions for each slot, in batches large enough that several threads write them.
    keys = torch.arange(positions) + 5
    logits = keys[:, None].to(torch.float32).repeat(1, actions)
    with threads(2):
        for _ in range(5):
            cache = EvaluationCache(4, actions, CPU)
            cache.store(keys, logits, keys.to(torch.float32))
            found = cache.lookup(keys, torch.ones_like(keys, dtype=torch.bool))
            hit = torch.ones_like(keys, dtype=torch.bool)
            hit[found.missing] = False
            assert hit.sum() == 4
            assert torch.equal(found.logits[hit], logits[hit])
            assert torch.equal(found.value[hit], keys[hit].to(torch.float32))


def test_clear_forgets_everything() -> None:
    cache = EvaluationCache(8, 3, CPU)
    keys = torch.tensor([1, 2, 3])
    ask(cache, keys)
    cache.clear()
    assert ask(cache, keys)[2] == [0, 1, 2]


@pytest.mark.parametrize("slots", [0, -1, 3, 12])
def test_slots_are_a_power_of_two(slots: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        EvaluationCache(slots, 3, CPU)


class Evaluator:
    """A network stand-in that counts its rows; each row's answer is exact whatever batch it is in."""

    def __init__(self, actions: int) -> None:
        self.weights = torch.randn(84, actions + 1, generator=torch.Generator().manual_seed(1))
        self.rows = 0

    def __call__(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        self.rows += len(observation)
        # Zeros and ones times short fractions: sums without rounding, in any order.
        out = observation.flatten(1) @ (self.weights * 64).round() / 64
        return out[:, :-1] / 4, torch.tanh(out[:, -1] / 8)


@pytest.mark.parametrize("slots", [4, 2**14])
def test_a_search_with_the_cache_is_the_search_without(slots: int) -> None:
    game, search = make("connect_four"), GumbelSearch(simulations=24)
    state = game.initial(32, CPU)
    ids = torch.arange(32)
    for ply in range(14):
        state = game.step(state, (ids * (ply + 1)) % 7 if ply < 6 else ids % 7)
    running = ~game.done(state)
    results = []
    for cache in (None, EvaluationCache(slots, 7, CPU)):
        dynamics = GameDynamics(game, Evaluator(7), cache=cache)
        results.append(search(dynamics.root(state, game_id=ids, ply=ids), dynamics=dynamics, seed=0))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a[running], b[running])


def test_counts_add_up_and_say_what_the_network_was_asked() -> None:
    game, search, evaluator = make("connect_four"), GumbelSearch(simulations=32), Evaluator(7)
    dynamics = GameDynamics(game, evaluator, cache=EvaluationCache(2**14, 7, CPU))
    state = game.initial(16, CPU)
    for _ in range(3):  # a fourth stone in columns 0 to 6 wins for whoever owns the three below
        state = game.step(state, torch.arange(16) % 7)
        state = game.step(state, (torch.arange(16) + 1) % 7)
    ids = torch.arange(16)
    root = dynamics.root(state, game_id=ids, ply=ids)
    before = evaluator.rows
    assert before == 7  # boards 7 to 15 repeat boards 0 to 6
    search(root, dynamics=dynamics, seed=0)
    counts = dynamics.counts
    assert counts.evaluated == evaluator.rows
    assert counts.evaluated + counts.ended + counts.repeated == 16 * (32 + 1)
    assert counts.ended > 0
    assert counts.repeated > 9
    assert counts.batches <= 33
