"""The checks of `agents.games.test_game`."""
