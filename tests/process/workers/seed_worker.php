<?php
// A worker as PHP programs for the predecessor of this package are: headers are read in pieces of
// up to 1024 bytes, what a handler prints is buffered and becomes the answer, stderr is raw, and a
// handler that exits still answers with what it had printed, from a destructor.

declare(strict_types=1);

final class Worker
{
    private string $input = '';
    private bool $buffering = false;

    public function __destruct()
    {
        if ($this->buffering) {
            $this->answer();
        }
    }

    public function run(): void
    {
        while (true) {
            ob_start();
            $this->buffering = true;
            $type = $this->number(';');
            if ($type === 0) {
                exit;
            }
            if ($type !== 1) {
                throw new RuntimeException("unknown message type $type");
            }
            $length = $this->number("\n");
            while (strlen($this->input) < $length) {
                $more = fread(STDIN, min($length - strlen($this->input), 1024));
                if ($more === false || $more === '') {
                    throw new RuntimeException('stdin ended in the middle of a request');
                }
                $this->input .= $more;
            }
            $data = substr($this->input, 0, $length);
            $this->input = substr($this->input, $length);
            $this->handle($data);
            $this->answer();
        }
    }

    private function handle(string $data): void
    {
        [$word, $rest] = explode(' ', $data, 2) + [1 => ''];
        switch ($word) {
            case 'print-and-exit':
                print $rest;
                exit;
            case 'exit-silently':
                exit;
            case 'sleep':
                usleep((int)((float)$rest * 1000000));
                print 'slept';
                break;
            case 'log':
                error_log($rest);
                print 'logged';
                break;
            case 'log-only':
                error_log($rest);
                break;
            case 'stderr':
                fwrite(STDERR, $rest);
                break;
            case 'echo':
                print $rest;
                break;
            case 'throw':
                throw new RuntimeException($rest);
            default:
                print md5($data);
        }
    }

    private function number(string $end): int
    {
        while (($position = strpos($this->input, $end)) === false) {
            $more = fread(STDIN, 1024);
            if ($more === false || ($more === '' && feof(STDIN))) {
                throw new RuntimeException('stdin ended while waiting for a request');
            }
            $this->input .= $more;
        }
        $digits = substr($this->input, 0, $position);
        $this->input = substr($this->input, $position + 1);
        if (!preg_match('/^[0-9]+$/AD', $digits)) {
            throw new RuntimeException("not a number: $digits");
        }
        return (int)$digits;
    }

    private function answer(): void
    {
        $answer = ob_get_clean();
        $this->buffering = false;
        print strlen($answer) . ';' . $answer;
        flush();
    }
}

try {
    $worker = new Worker();
    $worker->run();
} catch (Throwable $error) {
    error_log('caught: ' . $error->getMessage());
    exit(1);
}
