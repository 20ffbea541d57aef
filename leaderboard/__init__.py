"""Everything that turns a model into a row of the board: models, metrics, scores, statistics, the store."""
