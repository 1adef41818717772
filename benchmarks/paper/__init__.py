"""The paper's tables, rebuilt on data that can be had."""
