/** What stands in place of the page, or above it, while the client cannot be seen. */

import type { JSX } from 'preact';
import type { FeedState } from './feed.js';
import { formatSpan } from './format.js';
import { useTick } from './hooks.js';
import { Icon } from './icons.js';

interface NoticeProps {
  readonly feed: FeedState;
  readonly onRetry: () => void;
}

/** There is nothing to show yet. */
export function Notice({ feed, onRetry }: NoticeProps): JSX.Element {
  return (
    <main class={`notice notice-${feed.kind}`}>
      <div class="notice-card">
        <span class="notice-sign">
          <Icon name={feed.kind === 'connecting' ? 'topology' : 'close'} size={22} />
        </span>
        <NoticeText feed={feed} onRetry={onRetry} />
      </div>
    </main>
  );
}

function NoticeText({ feed, onRetry }: NoticeProps): JSX.Element {
  switch (feed.kind) {
    case 'no-token':
      return (
        <>
          <h2>This address has no token</h2>
          <p>
            Open the whole URL that the process printed. It ends with <code>#token=…</code>, without which nobody may
            see the client.
          </p>
        </>
      );
    case 'wrong-token':
      return (
        <>
          <h2>The token is not this inspector’s</h2>
          <p>
            Each start has a token of its own. If the process was restarted, open the URL that it printed this time; if
            the address was copied, copy all of it.
          </p>
          <RetryButton onRetry={onRetry} />
        </>
      );
    case 'disconnected':
      return (
        <>
          <h2>The inspector cannot be reached</h2>
          <p>
            {capitalised(feed.reason)}. Is the process still running, and on this port? <Countdown feed={feed} />
          </p>
          <RetryButton onRetry={onRetry} />
        </>
      );
    default:
      return (
        <>
          <h2>Connecting…</h2>
          <p>Asking {location.host} for the client.</p>
        </>
      );
  }
}

/** What is shown is of before the stream was lost. */
export function Banner({ feed, onRetry }: NoticeProps): JSX.Element | null {
  if (feed.kind === 'live' || feed.kind === 'recording') return null;
  if (feed.kind === 'connecting') {
    return (
      <div class="banner" role="status">
        Connecting again…
      </div>
    );
  }
  return (
    <div class="banner is-bad" role="alert">
      <p>
        <b>{feed.kind === 'disconnected' ? 'Disconnected' : 'The process was restarted'}:</b> {bannerText(feed)}{' '}
        {feed.kind === 'disconnected' && <Countdown feed={feed} />}
      </p>
      <RetryButton onRetry={onRetry} />
    </div>
  );
}

function bannerText(feed: FeedState): string {
  if (feed.kind === 'disconnected') return `${feed.reason}. What you see is how it was until then.`;
  return 'its new URL has another token. Open that one; what you see is how it was before.';
}

function RetryButton({ onRetry }: { readonly onRetry: () => void }): JSX.Element {
  return (
    <button type="button" class="button" onClick={onRetry}>
      Try now
    </button>
  );
}

function Countdown({ feed }: { readonly feed: Extract<FeedState, { kind: 'disconnected' }> }): JSX.Element {
  useTick(250, true);
  const leftMs = feed.retryAt - performance.now();
  return <span class="countdown">Trying again {leftMs > 0 ? `in ${formatSpan(leftMs)}` : 'now'}.</span>;
}

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
