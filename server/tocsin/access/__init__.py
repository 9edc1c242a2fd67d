"""Who may do what. Empty of features as long as everybody may do everything."""
