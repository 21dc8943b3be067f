package segment

import "time"

type clock struct{ at int64 }

func (c *clock) now() time.Time { return time.Unix(0, c.at) }
