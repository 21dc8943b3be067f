package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pitwall/api/native"
	"pitwall/backend"
)

// metrics serves the figures of the server and of what it runs. The latter are
// read from the Backend at each request, as the caller who asks.
type metrics struct {
	backend  backend.Backend
	own      *prometheus.Registry
	requests *prometheus.CounterVec
}

func newMetrics(cfg Config, n *native.Handler) *metrics {
	m := &metrics{
		backend: cfg.Backend,
		own:     prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pitwall_requests_total", Help: "Requests answered, by door and status.",
		}, []string{"door", "status"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "pitwall_build_info", Help: "Always 1; the label has the version.",
		ConstLabels: prometheus.Labels{"version": cfg.Version},
	})
	build.Set(1)
	m.own.MustRegister(
		m.requests, build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("pitwall_feed_connections", "Websockets with feeds that are open.", func() float64 { return float64(n.Stats().Connections) }),
		gauge("pitwall_feeds_open", "Feeds that are open.", func() float64 { return float64(n.Stats().Feeds) }),
		gauge("pitwall_attachments_open", "Attachments that are open.", func() float64 { return float64(n.Stats().Attachments) }),
		counter("pitwall_feed_lags_total", "Times that a slow reader was told of a lag.", func() float64 { return float64(n.Stats().Lagged) }),
		counter("pitwall_feed_missed_total", "Items that slow readers were told they missed.", func() float64 { return float64(n.Stats().Missed) }),
	)
	return m
}

func gauge(name, help string, read func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read)
}

func counter(name, help string, read func() float64) prometheus.Collector {
	return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read)
}

// request counts one request.
func (m *metrics) request(door string, status int) {
	m.requests.WithLabelValues(door, strconv.Itoa(status)).Inc()
}

// ServeHTTP implements http.Handler.
func (m *metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := prometheus.NewRegistry()
	if err := asked.Register(&platform{ctx: r.Context(), backend: m.backend}); err != nil {
		native.WriteError(w, backend.Errorf(backend.Internal, "register figures: %w", err))
		return
	}
	opts := promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}
	promhttp.HandlerFor(prometheus.Gatherers{m.own, asked}, opts).ServeHTTP(w, r)
}

// platform collects the figures of apps, instances and operations for one
// request.
type platform struct {
	ctx     context.Context
	backend backend.Backend
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// figure is one figure of every app.
type figure struct {
	desc *prometheus.Desc
	read func(backend.App) float64
}

func figures() []figure {
	of := func(name, help string, read func(backend.App) float64) figure {
		return figure{desc("pitwall_app_"+name, help, "team", "space", "app"), read}
	}
	return []figure{
		of("instances_wanted", "Instances that are wanted.", func(a backend.App) float64 { return float64(a.Instances) }),
		of("instances_ready", "Instances that are ready.", func(a backend.App) float64 { return float64(a.Ready) }),
		of("restarts", "Restarts of the present instances by themselves.", func(a backend.App) float64 { return float64(a.Restarts) }),
		of("errors_per_minute", "Log lines of level error and above in the last minute.", func(a backend.App) float64 { return float64(a.ErrorsPerMinute) }),
		of("log_bytes", "Log that is kept, in bytes.", func(a backend.App) float64 { return float64(a.LogBytes) }),
		of("connections", "Connections that are open through the edge.", func(a backend.App) float64 { return float64(a.Connections) }),
		of("cpu_cores", "Use of processors, in cores.", func(a backend.App) float64 { return a.CPU }),
		of("resident_bytes", "Resident memory, in bytes.", func(a backend.App) float64 { return float64(a.RSS) }),
	}
}

// Describe implements prometheus.Collector. What there is, is known only when
// it is collected.
func (p *platform) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (p *platform) Collect(out chan<- prometheus.Metric) {
	up := 1.0
	for _, collect := range []func(chan<- prometheus.Metric) error{p.apps, p.instances, p.operations} {
		if err := collect(out); err != nil {
			up = 0
		}
	}
	out <- value(desc("pitwall_backend_up", "1 when the figures of apps could be read."), up)
}

func value(d *prometheus.Desc, v float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...)
	if err != nil {
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

func (p *platform) apps(out chan<- prometheus.Metric) error {
	list, err := p.backend.Apps(p.ctx, backend.AppQuery{})
	if err != nil {
		return err
	}
	states := make(map[backend.AppState]int)
	blocked := 0
	all := figures()
	for _, a := range list.Items {
		states[a.State]++
		if a.Blocked {
			blocked++
		}
		for _, f := range all {
			out <- value(f.desc, f.read(a), a.Team, a.Space, a.Name)
		}
	}
	perState := desc("pitwall_apps", "Apps, by state.", "state")
	for state, n := range states {
		out <- value(perState, float64(n), string(state))
	}
	out <- value(desc("pitwall_apps_blocked", "Apps whose new connections are refused."), float64(blocked))
	return nil
}

func (p *platform) instances(out chan<- prometheus.Metric) error {
	list, err := p.backend.Instances(p.ctx, backend.InstanceQuery{})
	if err != nil {
		return err
	}
	states := make(map[backend.InstanceState]int)
	for _, i := range list.Items {
		states[i.State]++
	}
	perState := desc("pitwall_instances", "Instances, by state.", "state")
	for state, n := range states {
		out <- value(perState, float64(n), string(state))
	}
	return nil
}

func (p *platform) operations(out chan<- prometheus.Metric) error {
	list, err := p.backend.Operations(p.ctx, backend.OperationQuery{})
	if err != nil {
		return err
	}
	type outcome struct{ verb, state string }
	outcomes := make(map[outcome]int)
	for _, o := range list.Items {
		outcomes[outcome{o.Kind, string(o.State)}]++
	}
	perOutcome := desc("pitwall_operations", "Operations that are kept, by verb and state.", "verb", "state")
	for o, n := range outcomes {
		out <- value(perOutcome, float64(n), o.verb, o.state)
	}
	return nil
}
