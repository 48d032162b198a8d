"""Made texts with known answers, which need no download: `data.source` names them; `table` lists them."""
