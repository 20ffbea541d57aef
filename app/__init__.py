"""The web app: one file per tab. It shows what the store holds, and computes nothing itself."""
