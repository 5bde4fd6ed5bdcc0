package bench_test

import (
	"os"

	"arpeggio/bench"
)

func ExampleReport() {
	r := bench.Report{Table: os.Stdout}
	r.Add(bench.Row{Section: "Commits", Name: "ours", Value: 71203, Unit: "commits/s"})
	r.Add(bench.Row{Section: "Commits", Name: "theirs", Value: 2013, Unit: "commits/s", Ratio: 71203. / 2013, Bar: bench.AtLeast(30)})
	r.Add(bench.Row{Section: "Clone", Name: "one commit", Value: 62.5, Unit: "ms", Bar: bench.AtMost(50), Note: "median of 9"})
	r.Finish()
	// Output:
	// Commits
	//   ours                                            71,203 commits/s
	//   theirs                                           2,013 commits/s       35.4×  ≥ 30×            met
	//
	// Clone
	//   one commit                                        62.5 ms                     ≤ 50 ms          MISSED  median of 9
	//
	// 1 of 2 bars met
}
