"""The whole job: structures, labels, a potential that knows its doubt, more labels where needed, checks, simulation."""
