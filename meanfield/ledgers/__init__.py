"""What the ledger of a mechanism needs: silenced mixtures, sentences and tables, figures."""
