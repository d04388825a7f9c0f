<?php
// Drives the PHP library's pool: php php_pool.php SOURCES COMMAND MODE IN-FLIGHT SECONDS SIZE
//
// MODE is `held` (each process is started once and sent one message after the other) or `released`
// (a process is started, asked and released for each message). An answer is read without looking
// at stderr first, which is the fastest that the library can be driven. Prints a line of JSON.

declare(strict_types=1);

use ssigwart\ProcessPool\ProcessPool;

[, $sources, $command, $mode, $inFlight, $seconds, $size] = $argv;
spl_autoload_register(function (string $class) use ($sources): void {
    require $sources . strrchr(strtr($class, '\\', '/'), '/') . '.php';
});

function cpuSeconds(): float
{
    $usage = getrusage();
    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
}

/** Pass messages on for so many seconds; return the time of each, in nanoseconds. */
function pass(ProcessPool $pool, array &$processes, string $text, bool $release, float $seconds): array
{
    $message = 'echo ' . $text;
    $times = [];
    foreach ($processes as $process) {
        $process->sendRequest($message);
    }
    $last = count($processes) - 1;
    $at = 0;
    $now = hrtime(true);
    $end = $now + (int)($seconds * 1e9);
    while ($now < $end) {
        $process = $processes[$at];
        if ($process->getStdoutResponse() !== $text) {
            throw new RuntimeException('the pool gave a wrong answer');
        }
        if ($release) {
            $pool->releaseProcess($process);
            $process = $processes[$at] = $pool->startProcess();
        }
        $process->sendRequest($message);
        $at = $at === $last ? 0 : $at + 1;
        $before = $now;
        $now = hrtime(true);
        $times[] = $now - $before;
    }
    for ($more = 0; $more <= $last; $more++) {
        $processes[($at + $more) % ($last + 1)]->getStdoutResponse();
    }
    return $times;
}

$pool = new ProcessPool((int)$inFlight, (int)$inFlight, $command);
$processes = [];
for ($count = 0; $count < (int)$inFlight; $count++) {
    $processes[] = $pool->startProcess();
}
$text = str_repeat('x', (int)$size);
$release = $mode === 'released';
pass($pool, $processes, $text, $release, (float)$seconds / 5);
$all = $rates = $used = [];
for ($piece = 0; $piece < 3; $piece++) {
    $cpu = cpuSeconds();
    $start = hrtime(true);
    $times = pass($pool, $processes, $text, $release, (float)$seconds / 3);
    $rates[] = count($times) / (hrtime(true) - $start) * 1e9;
    $used[] = (cpuSeconds() - $cpu) / count($times);
    array_push($all, ...$times);
}
sort($all);
$figures = ['rate' => max($rates), 'cpu' => min($used), 'p50' => $all[intdiv(count($all), 2)] / 1e9];
print json_encode($figures) . "\n";
