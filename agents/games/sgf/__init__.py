"""Games in the Smart Game Format, FF[4] (https://www.red-bean.com/sgf/)."""

from agents.games.sgf.boards import SgfBoard, has_sgf, sgf_board
from agents.games.sgf.reading import SgfRecord, read_sgf
from agents.games.sgf.writing import write_sgf

__all__ = ["SgfBoard", "SgfRecord", "has_sgf", "read_sgf", "sgf_board", "write_sgf"]
