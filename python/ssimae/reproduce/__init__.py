"""The results of Bergmann et al. 2019 made again."""
