package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"arpeggio/arp/observe"
	"arpeggio/arp/vendors"
)

// WebhookConfig configures Webhook. URL is required.
type WebhookConfig struct {
	URL string // http or https
	// Header is added to each request: an Authorization, for example.
	Header  http.Header
	Vendors *vendors.Table // nil: one of its own
	// Timeout is how long one request may take, 10 s when 0.
	Timeout time.Duration
	// Client sends the requests; nil is one that follows no redirections and
	// honours the environment's proxies.
	Client *http.Client
	Options
}

const defaultWebhookTimeout = 10 * time.Second

// Webhook returns a sink that posts each event as a JSON object to a web server,
// one after the other. Any status of 200 to 299 is success. Other answers of a
// server that is at work, 400 to 499 but 408 and 429, and redirections, are final;
// all else is tried again. The error is about the URL only.
func Webhook(cfg WebhookConfig) (Sink, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("sink: %q is no webhook: want http://… or https://…", cfg.URL)
	}
	if cfg.Vendors == nil {
		cfg.Vendors = &vendors.Table{}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultWebhookTimeout
	}
	finish := func() {}
	if cfg.Client == nil {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: 90 * time.Second}
		finish = transport.CloseIdleConnections
		cfg.Client = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	q := newQueue("webhook "+u.Host, cfg.Options)
	return q.start(1, func(ctx context.Context, l *observe.Line) error {
		body := JSON(l, cfg.Vendors)
		return q.retry(ctx, func(ctx context.Context) error { return cfg.post(ctx, body) })
	}, finish), nil
}

// post sends one request.
func (c *WebhookConfig) post(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %w", errPermanent, err)
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Client.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) { // a URL may hold a secret, and errors are logged
			err = u.Err
		}
		return err
	}
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	resp.Body.Close()
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return fmt.Errorf("%w: the server says %s", errPermanent, resp.Status)
	default:
		return fmt.Errorf("the server says %s", resp.Status)
	}
}
