-- Who was given something in an emergency that no owner has reviewed yet. Unique: nobody breaks the glass a second time before,
-- not even in the same moment and on another replica.
ALTER TABLE ledger ADD COLUMN unreviewed TEXT;
CREATE UNIQUE INDEX ledger_unreviewed ON ledger (unreviewed) WHERE unreviewed IS NOT NULL;
